#include "supervisor/render/fields.hpp"

#include <algorithm>
#include <array>
#include <type_traits>
#include <utility>

#include "supervisor/render/explain.hpp"
#include "supervisor/render/traffic.hpp"
#include "supervisor/render/words.hpp"

namespace clat::render {

using namespace model;

namespace {

constexpr std::uint64_t kSchema = 1;

// Texts, numbers and times, each none where it is empty.
template <class T>
Value value(const T& it) {
  if constexpr (requires { it.has_value(); }) {
    return it ? value(*it) : Value();
  } else if constexpr (requires { it.text(); }) {
    return it.text();
  } else if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, milliseconds>) {
    return it;
  } else if constexpr (std::is_integral_v<T>) {
    return static_cast<std::uint64_t>(it);
  } else if constexpr (requires { name(it); }) {
    return std::string(name(it));
  } else {
    const std::string_view text(it);
    return text.empty() ? Value() : Value(std::string(text));
  }
}

// Numbers of which 0 says that there is none.
Value unless_zero(std::uint64_t number) { return number == 0 ? Value() : Value(number); }

// Of the last hook that was run.
std::string_view hook_state(const HookStatus& hook) {
  if (hook.runs_for) return "running";
  if (!hook.failure) return "done";
  return hook.failure->refused ? "refused" : "failed";
}

Value shaping_code(const InterfaceStatus& status) {
  return std::string(status.shaping.device.empty() ? name(status.shaping.why) : "followed");
}

template <auto Path, auto Count>
Value total(const InterfaceStatus& status) {
  return traffic(status.counted.now).*Path.*Count;
}

template <auto Path, auto Count>
Value each_second(const InterfaceStatus& status) {
  const auto rate = traffic_per_second(status.counted);
  return rate ? Value((*rate).*Path.*Count) : Value();
}

constexpr auto kFields = std::to_array<Field>({
    {"name", [](const auto& it) { return value(it.name); }},
    {"state", [](const auto& it) { return value(it.state); }},
    {"state_seconds", [](const auto& it) { return value(it.in_state); }},
    {"up_seconds", [](const auto& it) { return value(it.up_for); }},
    {"reason_code", [](const auto& it) { return value(reason_code(it)); }},
    {"reason", [](const auto& it) { return value(reason_text(it)); }},
    {"retry_seconds", [](const auto& it) { return it.failure ? value(it.retry_in) : Value(); }},
    {"ipv4", [](const auto& it) { return value(it.v4); }},
    {"ipv6", [](const auto& it) { return value(it.v6); }},
    {"nat64_prefix", [](const auto& it) { return value(it.prefix); }},
    {"prefix_source", [](const auto& it) { return value(it.prefix_source); }},
    {"next_hop", [](const auto& it) { return it.route ? value(it.route->next_hop) : Value(); }},
    {"ipv6_mtu", [](const auto& it) { return unless_zero(it.ipv6_mtu); }},
    {"ipv4_mtu", [](const auto& it) { return unless_zero(it.ipv4_mtu); }},
    {"ifindex", [](const auto& it) { return unless_zero(static_cast<unsigned>(it.ifindex)); }},
    {"tun", [](const auto& it) { return value(it.tun); }},
    {"tun_ifindex", [](const auto& it) { return unless_zero(static_cast<unsigned>(it.tun_ifindex)); }},
    {"default_route_metric", [](const auto& it) { return value(it.metric); }},
    {"default_route_taken", [](const auto& it) { return value(it.route_is_taken); }},
    {"path", [](const auto& it) { return value(path(it)); }},
    {"shaping", [](const auto& it) { return shaping_code(it); }},
    {"shaped_by", [](const auto& it) { return value(it.shaping.device); }},
    {"clatd_state", [](const auto& it) { return value(it.child.state); }},
    {"clatd_pid", [](const auto& it) { return unless_zero(static_cast<unsigned>(it.child.pid)); }},
    {"clatd_restarts", [](const auto& it) { return value(it.child.restarts); }},
    {"clatd_next_start_seconds", [](const auto& it) { return value(it.child.next_start_in); }},
    {"clatd_last_end", [](const auto& it) { return it.child.last_end ? value(text(*it.child.last_end)) : Value(); }},
    {"probe_failures", [](const auto& it) { return it.probe ? value(it.probe->failures) : Value(); }},
    {"hook_state", [](const auto& it) { return it.hook ? value(hook_state(*it.hook)) : Value(); }},
    {"hook_reason",
     [](const auto& it) { return it.hook && it.hook->failure ? value(text(*it.hook->failure)) : Value(); }},
    {"fast_tx_packets", total<&Traffic::fast_tx, &Flow::packets>},
    {"fast_tx_bytes", total<&Traffic::fast_tx, &Flow::bytes>},
    {"fast_rx_packets", total<&Traffic::fast_rx, &Flow::packets>},
    {"fast_rx_bytes", total<&Traffic::fast_rx, &Flow::bytes>},
    {"shortcut_tx_packets", total<&Traffic::shortcut_tx, &Flow::packets>},
    {"shortcut_tx_bytes", total<&Traffic::shortcut_tx, &Flow::bytes>},
    {"shortcut_rx_packets", total<&Traffic::shortcut_rx, &Flow::packets>},
    {"shortcut_rx_bytes", total<&Traffic::shortcut_rx, &Flow::bytes>},
    {"clatd_tx_packets", total<&Traffic::clatd_tx, &Flow::packets>},
    {"clatd_tx_bytes", total<&Traffic::clatd_tx, &Flow::bytes>},
    {"clatd_rx_packets", total<&Traffic::clatd_rx, &Flow::packets>},
    {"clatd_rx_bytes", total<&Traffic::clatd_rx, &Flow::bytes>},
    {"fast_tx_packets_per_second", each_second<&Traffic::fast_tx, &Flow::packets>},
    {"fast_tx_bytes_per_second", each_second<&Traffic::fast_tx, &Flow::bytes>},
    {"fast_rx_packets_per_second", each_second<&Traffic::fast_rx, &Flow::packets>},
    {"fast_rx_bytes_per_second", each_second<&Traffic::fast_rx, &Flow::bytes>},
    {"shortcut_tx_packets_per_second", each_second<&Traffic::shortcut_tx, &Flow::packets>},
    {"shortcut_tx_bytes_per_second", each_second<&Traffic::shortcut_tx, &Flow::bytes>},
    {"shortcut_rx_packets_per_second", each_second<&Traffic::shortcut_rx, &Flow::packets>},
    {"shortcut_rx_bytes_per_second", each_second<&Traffic::shortcut_rx, &Flow::bytes>},
    {"clatd_tx_packets_per_second", each_second<&Traffic::clatd_tx, &Flow::packets>},
    {"clatd_tx_bytes_per_second", each_second<&Traffic::clatd_tx, &Flow::bytes>},
    {"clatd_rx_packets_per_second", each_second<&Traffic::clatd_rx, &Flow::packets>},
    {"clatd_rx_bytes_per_second", each_second<&Traffic::clatd_rx, &Flow::bytes>},
    {"punted_packets", [](const auto& it) { return Value(traffic(it.counted.now).punted); }},
    {"dropped_packets", [](const auto& it) { return Value(traffic(it.counted.now).dropped); }},
});

void put_offer(Json& json, const OfferStatus& offer) {
  json.begin('{');
  json.member("prefix", offer.candidate.prefix.text());
  json.member("source", value(offer.candidate.source));
  json.member("router", value(offer.candidate.router));
  json.member("expires_seconds", value(offer.expires_in));
  json.end('}');
}

void put_range(Json& json, const RangeMapping& range) {
  json.begin('{');
  json.member("ipv4_source", range.v4.text());
  json.member("ipv6_source", range.v6.text());
  json.end('}');
}

void put_finding(Json& json, const Finding& finding) {
  json.begin('{');
  json.member("code", finding.code);
  json.member("text", finding.text);
  json.member("next", value(finding.next));
  json.end('}');
}

void put_interface(Json& json, const InterfaceStatus& status) {
  json.begin('{');
  for (const auto& field : kFields) json.member(field.name, field.get(status));
  json.begin("prefixes", '[');
  for (const auto& offer : status.offers) put_offer(json, offer);
  json.end(']');
  json.begin("ranges", '[');
  for (const auto& range : status.ranges) put_range(json, range);
  json.end(']');
  json.begin("findings", '[');
  for (const auto& finding : findings(status)) put_finding(json, finding);
  json.end(']');
  json.begin("counters", '{');
  for (const auto& [key, count] : status.counted.now) json.member(key, count);
  json.end('}');
  json.end('}');
}

}  // namespace

std::span<const Field> fields() { return kFields; }

std::optional<std::string> show(const InterfaceStatus& status, std::string_view field) {
  const auto found = std::ranges::find(kFields, field, &Field::name);
  if (found == kFields.end()) return std::nullopt;
  const auto value = found->get(status);
  if (std::holds_alternative<std::monostate>(value)) return "";
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  return json_text(value);
}

std::string reason_text(const InterfaceStatus& status) {
  if (status.obstacle) return text(*status.obstacle);
  return status.failure ? status.failure->text() : "";
}

std::string_view reason_code(const InterfaceStatus& status) {
  if (status.obstacle) return code(status.obstacle->why);
  return status.failure ? code(Why::failure) : "";
}

std::string_view path(const InterfaceStatus& status) {
  if (!status.fast_path.empty()) return status.fast_path;
  return status.child.pid != 0 ? "clatd" : "none";
}

std::string json(const Status& status, std::string_view version, int pid) {
  Json json;
  json.begin('{');
  json.member("schema", kSchema);
  json.member("version", std::string(version));
  json.member("pid", static_cast<std::uint64_t>(pid));
  json.member("uptime_seconds", status.uptime);
  json.member("config", status.config);
  json.member("reloads", static_cast<std::uint64_t>(status.reloads));
  json.begin("findings", '[');
  for (const auto& finding : findings(status)) put_finding(json, finding);
  json.end(']');
  json.begin("interfaces", '[');
  for (const auto& each : status.interfaces) put_interface(json, each);
  json.end(']');
  json.end('}');
  return std::move(json).take() + "\n";
}

}  // namespace clat::render
