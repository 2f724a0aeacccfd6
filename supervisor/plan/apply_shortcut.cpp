#include <utility>

#include "supervisor/plan/applier.hpp"

namespace clat::plan {

namespace {

constexpr config::Restart kServeAgain{
    .initial = milliseconds(100), .max = std::chrono::seconds(10), .factor = 2, .jitter = 0.1};

}  // namespace

void Applier::operator()(const ShortcutServed& event) {
  auto& shortcut = world_.shortcut;
  if (event.result) {
    shortcut.retry.succeed();
    for (const auto& lan : event.spec.lans) tell(lan.name, notice::ShortcutServed{});
    return;
  }
  shortcut_failed(event.result.error());
}

// Of some of it there may be rest: it is served anew, or what is left is taken away.
void Applier::shortcut_failed(const Error& error) {
  auto& shortcut = world_.shortcut;
  const auto told = std::exchange(shortcut.told, ShortcutSpec{.reloads = world_.reloads + 1});
  const bool news = !shortcut.retry.error || *shortcut.retry.error != error;
  shortcut.retry.fail(shortcut.retry.backoff.fail(kServeAgain, world_.random), now_, error);
  if (!told || !news || error.code == EAGAIN) return;
  for (const auto& lan : told->lans) tell(lan.name, notice::ShortcutUnavailable{std::nullopt, error});
}

}  // namespace clat::plan
