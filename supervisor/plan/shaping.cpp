#include "supervisor/plan/shaping.hpp"

#include <utility>

#include "supervisor/plan/judge.hpp"

namespace clat::plan {

namespace {

const bpf::Ingress* ingress_of(const World& world, const std::string& name) {
  const auto* link = world.link(name);
  const auto found = link == nullptr ? world.kernel.ingress.end() : world.kernel.ingress.find(link->ifindex);
  return found == world.kernel.ingress.end() ? nullptr : &found->second;
}

const ShapingSpec* copy_at(const Clat& clat) {
  const auto& have = clat.piece(Part::shaping).have;
  const auto* spec = have ? &std::get<ShapingSpec>(*have) : nullptr;
  return spec != nullptr && spec->redirect ? spec : nullptr;
}

// What somebody may not expect. What the config says, or comes to an end by itself, is no surprise.
bool is_worth_a_word(const Shaping& shaping) {
  if (!shaping.device.empty()) return shaping.other.has_value();
  return shaping.why == Unshaped::other_filter || shaping.why == Unshaped::no_ifb || shaping.why == Unshaped::failure;
}

}  // namespace

std::expected<ShapingSpec, Unshaped> wanted_shaping(const World& world, const std::string& name, const Clat& clat) {
  const auto& wanted = *world.wanted(name);
  const auto* ingress = ingress_of(world, name);
  if (ingress == nullptr) return std::unexpected(Unshaped::no_redirect);
  if (!wanted.follow_shaping) return std::unexpected(Unshaped::off);
  if (leg_of(world, wanted, clat) != Leg::fast) return std::unexpected(Unshaped::by_uplink);
  if (!ingress->redirect) return std::unexpected(Unshaped::other_filter);
  const auto* device = world.kernel.links.find(ingress->redirect->device);
  if (device == nullptr || !device->up) return std::unexpected(Unshaped::ifb_down);
  if (!device->is_ifb) return std::unexpected(Unshaped::no_ifb);
  return ShapingSpec{clat.tun, device->name, ingress->redirect};
}

Shaping shaping_of(const World& world, const std::string& name, const Clat& clat) {
  Shaping shaping;
  if (world.wanted(name) == nullptr) return shaping;
  const auto wanted = wanted_shaping(world, name, clat);
  if (!wanted) shaping.why = wanted.error();
  const bool may_see = wanted || wanted.error() == Unshaped::other_filter;
  if (const auto* ingress = ingress_of(world, name); ingress != nullptr && may_see) shaping.other = ingress->other;
  const auto& piece = clat.piece(Part::shaping);
  if (const auto* copy = copy_at(clat); copy != nullptr && piece.stands()) {
    shaping.device = copy->device;
  } else if (wanted && piece.retry.error) {
    shaping.why = Unshaped::failure;
    shaping.error = piece.retry.error;
  }
  return shaping;
}

void tell_shaping(const World& world, const std::string& name, Clat& clat, std::vector<Notice>& notices) {
  const bool exists = clat.outlook.wanted[index(Part::setup)].has_value();
  const auto* copy = copy_at(clat);
  const auto before = std::exchange(clat.shaped_by, copy == nullptr ? "" : copy->device);
  if (!exists) {
    clat.told_unshaped.reset();
    return;
  }
  const auto now = shaping_of(world, name, clat);
  if (clat.shaped_by != before) {
    if (copy != nullptr)
      notices.push_back({name, notice::ShapingFollowed{copy->device, *copy->redirect}});
    else
      notices.push_back({name, notice::ShapingEnded{before, now}});
  }
  if (!is_worth_a_word(now)) {
    clat.told_unshaped.reset();
  } else if (clat.told_unshaped != now) {
    clat.told_unshaped = now;
    notices.push_back({name, notice::ShapingIgnored{now}});
  }
}

}  // namespace clat::plan
