// The edge's part in rules of nftables: nft, which puts them in, and what serves a LAN.
#include <chrono>
#include <utility>

#include "core/base/first_error.hpp"
#include "supervisor/edge.hpp"
#include "supervisor/edge_answers.hpp"
#include "supervisor/system/nft_text.hpp"

namespace clat {

using model::Made;
using model::Verb;

namespace {

system::RuleTable rules_about(const model::LanSpec& lan) { return {system::RuleTable::For::lan, lan.tun}; }

}  // namespace

// `taken` looks at what nft has put in. The result of the action comes then.
Result<> KernelEdge::put_rules(const model::PartAction& action, const std::string& text,
                               std::function<Result<>()> taken) {
  constexpr std::chrono::seconds kPatience{10};
  if (auto watching = watch_rules(); !watching) return watching;
  const auto done = [this, taken = std::move(taken), uplink = action.uplink, verb = action.verb,
                     part = model::part_of(action.spec)](Result<> ended) {
    nft_.erase(uplink);
    auto result = ended ? taken() : std::move(ended);
    watch_rules_no_more();
    sink_(model::Done{uplink, verb, part, answer(std::move(result))});
  };
  auto run = loop::Command::start(loop_, {"nft", "-f", "-"}, text, kPatience, done);
  if (!run) {
    watch_rules_no_more();
    return std::unexpected(std::move(run).error());
  }
  nft_.insert_or_assign(action.uplink, std::move(*run));
  return {};
}

std::optional<Result<Made>> KernelEdge::do_part(const model::PartAction& action, const model::LanSpec& lan) {
  switch (action.verb) {
    case Verb::make:
    case Verb::change: {
      auto begun = serve_lan(action, lan);
      if (begun && served_.contains(action.uplink)) return std::nullopt;
      return answer(std::move(begun));
    }
    case Verb::remove: return answer(serve_lan_no_more(lan));
    case Verb::verify: return answer(check_lan(lan));
    case Verb::kill: break;
  }
  return impossible(action);
}

// With rules, the result comes later.
Result<> KernelEdge::serve_lan(const model::PartAction& action, const model::LanSpec& lan) {
  if (auto forwards = network_.want_forwarding(lan); !forwards) return forwards;
  const auto chains = system::chains_of(lan);
  if (chains.empty()) {
    served_.erase(action.uplink);
    return network_.remove_rules(rules_about(lan));
  }
  served_.insert(action.uplink);
  auto put = put_rules(action, system::lan_text(lan),
                       [this, table = rules_about(lan), chains] { return network_.take_rules(table, chains); });
  if (!put) served_.erase(action.uplink);
  return put;
}

Result<> KernelEdge::serve_lan_no_more(const model::LanSpec& lan) {
  nft_.erase(lan.uplink);
  served_.erase(lan.uplink);
  auto gone = network_.remove_rules(rules_about(lan));
  watch_rules_no_more();
  note(gone, network_.want_forwarding_no_more(lan));
  return gone;
}

Result<> KernelEdge::check_lan(const model::LanSpec& lan) {
  if (auto forwards = network_.verify_forwarding(lan); !forwards) return forwards;
  const auto chains = system::chains_of(lan);
  return chains.empty() ? Result<>() : network_.verify_rules(rules_about(lan), chains);
}

}  // namespace clat
