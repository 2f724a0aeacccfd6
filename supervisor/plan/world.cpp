#include "supervisor/plan/world.hpp"

#include <algorithm>

namespace clat::plan {

void Piece::forget() {
  have.reset();
  damaged = false;
}

void Process::expect_answer(TimePoint now) {
  if (ready && mute.empty() && !kill_at && !answer_by) answer_by = now + kAnswerTimeout;
}

void Process::heard() {
  if (!mute.empty()) return;
  answer_by.reset();
  last_look.reset();
}

std::optional<TimePoint> Process::given_up_at() const {
  if (pid == 0 || kill_at || condemned) return std::nullopt;
  if (last_look) return last_look;
  const auto not_ready = ready ? TimePoint::max() : started + kReadyTimeout;
  const auto at = std::min(not_ready, answer_by.value_or(TimePoint::max()));
  return at == TimePoint::max() ? std::nullopt : std::optional(at);
}

std::optional<TimePoint> Process::counts_from(bool missed) const {
  if (pid == 0 || !ready || condemned) return std::nullopt;
  return missed && !has_control ? started + kSteadyRun : started;
}

bool Child::is_flapping(TimePoint now) const {
  return ends.size() == kFlappingEnds && now - ends.front() < kFlappingTime;
}

void Clat::lose_tun() {
  tun = 0;
  piece(Part::tun).forget();
  adopt = false;
}

Reason Clat::why_no_clatd() const {
  if (child.process.condemned) return {.why = Why::no_clatd, .ending = *child.process.condemned};
  if (child.refused) return {Why::clatd_refused};
  return {.why = Why::no_clatd, .ending = child.last_end};
}

const Failure* Clat::failure() const {
  const auto failing = std::ranges::find_if(pieces, [](const Piece& each) { return each.failure.has_value(); });
  return failing == pieces.end() ? nullptr : &*failing->failure;
}

bool Clat::has_tun() const {
  const auto& made = piece(Part::tun);
  return made.have || made.in_flight;
}

bool Clat::empty() const {
  return retired.empty() && std::ranges::none_of(pieces, [](const Piece& each) { return each.have || each.in_flight; });
}

void World::bury_tun(int ifindex) {
  buried_tuns.insert(ifindex);
  kernel.links.erase(ifindex);
  kernel.ipv4.erase(ifindex);
  kernel.ipv6.erase(ifindex);
}

void World::use(std::shared_ptr<const config::Config> now) {
  config = std::move(now);
  interfaces_.clear();
  for (const auto& each : config->interfaces) interfaces_.emplace(each.name, &each);
}

const config::Interface* World::wanted(const std::string& uplink) const {
  const auto found = interfaces_.find(uplink);
  return stopping || found == interfaces_.end() ? nullptr : found->second;
}

}  // namespace clat::plan
