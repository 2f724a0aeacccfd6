// The edge's part in confining clatd: by a program, or where BPF is not to be had by rules that nft puts in.
#include <algorithm>
#include <chrono>
#include <utility>

#include "supervisor/edge.hpp"
#include "supervisor/edge_answers.hpp"
#include "supervisor/system/nft_text.hpp"

namespace clat {

namespace {

system::RuleTable rules_about(const model::FilterSpec& filter) {
  return {system::RuleTable::For::clatd, filter.filter.by.tun_ifindex};
}

}  // namespace

using model::FilterMeans;
using model::Made;
using model::Verb;

bool KernelEdge::owns(int pid) const {
  return children_.owns(pid) || hooks_.owns(pid) ||
         std::ranges::any_of(nft_, [&](const auto& run) { return run.second->pid() == pid; });
}

std::optional<Result<Made>> KernelEdge::do_part(const model::PartAction& action, const model::FilterSpec& wanted) {
  switch (action.verb) {
    case Verb::make:
    case Verb::change: {
      if (wanted.means == FilterMeans::bpf) return answer(confine_by_bpf(action, wanted));
      auto started = confine_by_rules(action, wanted);
      if (started) return std::nullopt;
      return answer(std::move(started));
    }
    case Verb::remove: return answer(release(action.uplink, wanted));
    case Verb::verify: return answer(check_filter(wanted, fast_path_ ? fast_path_->verify_pins() : Result<>()));
    case Verb::kill: break;
  }
  return impossible(action);
}

Result<> KernelEdge::confine_by_bpf(const model::PartAction& action, const model::FilterSpec& wanted) {
  auto fast = fast_path();
  if (!fast) return std::unexpected(std::move(fast).error());
  const bool anew = action.verb == Verb::make || std::get<model::FilterSpec>(*action.before).means != wanted.means;
  auto made = anew ? (*fast)->attach(wanted.filter) : (*fast)->update(wanted.filter);
  if (!made) {
    if (anew && may_need_new_programs(made.error())) fast_path_.reset();
    return made;
  }
  counted_.insert_or_assign(action.uplink, wanted.filter.by);
  // The rules that stood in for it; an earlier supervisor's, too.
  auto gone = network_.remove_rules(rules_about(wanted));
  if (gone) ruled_.erase(action.uplink);
  watch_rules_no_more();
  return gone;
}

Result<> KernelEdge::confine_by_rules(const model::PartAction& action, const model::FilterSpec& wanted) {
  const auto done = [this, tun = wanted.filter.by.tun_ifindex, uplink = action.uplink] {
    return take_rules(uplink, tun);
  };
  return put_rules(action, system::filter_text(wanted), done);
}

Result<> KernelEdge::take_rules(const std::string& uplink, int tun) {
  const system::RuleTable table{system::RuleTable::For::clatd, tun};
  if (auto taken = network_.take_rules(table, system::filter_chains()); !taken) return taken;
  ruled_[uplink] = tun;
  // What is left of a program that could not be attached again.
  const auto counted = counted_.find(uplink);
  if (counted != counted_.end() && fast_path_) (void)fast_path_->detach(bpf::Filter{.by = counted->second});
  counted_.erase(uplink);
  return {};
}

Result<> KernelEdge::release(const std::string& uplink, const model::FilterSpec& filter) {
  nft_.erase(uplink);
  if (filter.means == FilterMeans::bpf) {
    auto fast = fast_path();
    if (!fast) return std::unexpected(std::move(fast).error());
    if (auto detached = (*fast)->detach(filter.filter); !detached) return detached;
    counted_.erase(uplink);
  }
  auto gone = network_.remove_rules(rules_about(filter));
  if (gone) ruled_.erase(uplink);
  watch_rules_no_more();
  return gone;
}

Result<> KernelEdge::check_filter(const model::FilterSpec& filter, const Result<>& pins) {
  return filter.means == FilterMeans::bpf ? check_programs(filter.filter, pins)
                                          : network_.verify_rules(rules_about(filter), system::filter_chains());
}

}  // namespace clat
