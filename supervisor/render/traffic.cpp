#include "supervisor/render/traffic.hpp"

#include <algorithm>
#include <string_view>

namespace clat::render {

namespace {

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

bool take_end(std::string_view& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.remove_suffix(suffix.size());
  return true;
}

// "to_ipv6_…"
std::optional<bool> take_direction(std::string_view& text) {
  if (take(text, "to_ipv6_")) return true;
  if (take(text, "to_ipv4_")) return false;
  return std::nullopt;
}

}  // namespace

Parsed parse_counter(std::string_view name) {
  using Kind = Parsed::Kind;
  const Parsed other{.what = name};
  auto left = name;
  if (take(left, "slow_drop_")) return {.kind = Kind::drop, .what = left};
  if (take(left, "drop_")) return {.kind = Kind::drop, .fast = true, .what = left};
  const bool punt = take(left, "punt_");
  const bool shortcut = !punt && take(left, "shortcut_");
  const bool fast = punt || shortcut || take(left, "fast_");
  if (!fast && !take(left, "slow_")) return other;
  const auto to_ipv6 = take_direction(left);
  if (!to_ipv6) return other;
  if (punt) return {.kind = Kind::punt, .fast = true, .to_ipv6 = *to_ipv6, .what = left};
  // "tcp_packets" on the fast path, "packets" of clatd and of the shortcut.
  const bool packets = take_end(left, "packets");
  if (!packets && !take_end(left, "bytes")) return other;
  (void)take_end(left, "_");
  return {packets ? Kind::packets : Kind::bytes, fast, shortcut, *to_ipv6, left};
}

namespace {

Flow& flow_of(Traffic& sum, const Parsed& parsed) {
  if (parsed.shortcut) return parsed.to_ipv6 ? sum.shortcut_tx : sum.shortcut_rx;
  if (parsed.fast) return parsed.to_ipv6 ? sum.fast_tx : sum.fast_rx;
  return parsed.to_ipv6 ? sum.clatd_tx : sum.clatd_rx;
}

}  // namespace

Traffic traffic(const model::Counters& counters) {
  Traffic sum;
  for (const auto& [name, value] : counters) {
    const auto parsed = parse_counter(name);
    auto& flow = flow_of(sum, parsed);
    switch (parsed.kind) {
      case Parsed::Kind::packets: flow.packets += value; break;
      case Parsed::Kind::bytes: flow.bytes += value; break;
      case Parsed::Kind::drop: sum.dropped += value; break;
      case Parsed::Kind::punt: sum.punted += value; break;
      case Parsed::Kind::other: break;
    }
  }
  return sum;
}

std::optional<Traffic> traffic_per_second(const model::Counted& counted) {
  if (counted.between.count() <= 0) return std::nullopt;
  const auto now = traffic(counted.now);
  const auto before = traffic(counted.before);
  const auto share = [&](std::uint64_t late, std::uint64_t early) {
    return (late - std::min(late, early)) * 1000 / static_cast<std::uint64_t>(counted.between.count());
  };
  const auto flow = [&](Flow Traffic::* which) {
    return Flow{share((now.*which).packets, (before.*which).packets), share((now.*which).bytes, (before.*which).bytes)};
  };
  return Traffic{.fast_tx = flow(&Traffic::fast_tx),
                 .fast_rx = flow(&Traffic::fast_rx),
                 .shortcut_tx = flow(&Traffic::shortcut_tx),
                 .shortcut_rx = flow(&Traffic::shortcut_rx),
                 .clatd_tx = flow(&Traffic::clatd_tx),
                 .clatd_rx = flow(&Traffic::clatd_rx),
                 .dropped = share(now.dropped, before.dropped),
                 .punted = share(now.punted, before.punted)};
}

}  // namespace clat::render
