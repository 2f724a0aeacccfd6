#include "supervisor/render/table.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "supervisor/render/explain.hpp"
#include "supervisor/render/fields.hpp"
#include "supervisor/render/traffic.hpp"
#include "supervisor/render/words.hpp"

namespace clat::render {

using namespace model;

namespace {

constexpr std::size_t kWidth = 80;  // of a terminal

constexpr std::array<const char*, 9> kTitles{"IFACE", "STATE", "SINCE", "IPV4", "PREFIX", "PATH", "CLATD", "RX", "TX"};
constexpr std::size_t kState = 1;
constexpr std::size_t kPrefix = 4;
constexpr std::size_t kRx = 7;  // from here on numbers, set to the right
using Row = std::array<std::string, kTitles.size()>;

template <class T>
std::string text_or_dash(const T& it) {
  return it ? it->text() : "-";
}

Row row(const InterfaceStatus& status) {
  const auto sum = traffic(status.counted.now);
  const bool counted = !status.counted.now.empty();
  return {status.name,
          std::string(name(status.state)),
          duration_text(status.in_state),
          text_or_dash(status.v4),
          text_or_dash(status.prefix),
          std::string(path(status)),
          std::string(name(status.child.state)),
          counted ? short_bytes(sum.fast_rx.bytes + sum.shortcut_rx.bytes + sum.clatd_rx.bytes) : "-",
          counted ? short_bytes(sum.fast_tx.bytes + sum.shortcut_tx.bytes + sum.clatd_tx.bytes) : "-"};
}

std::string clipped(const std::string& text, std::size_t width) {
  return text.size() <= width ? text : text.substr(0, width - 1) + "+";
}

struct Layout {
  std::array<std::size_t, kTitles.size()> widths{};
  std::size_t gap = 2;
};

// As wide as what stands there. Where that is too much the prefix gives way, and where that is not enough the gaps.
Layout layout(const std::vector<Row>& rows) {
  constexpr std::size_t kLeastPrefix = 11;
  Layout layout;
  std::size_t text = 0;
  for (std::size_t i = 0; i < kTitles.size(); ++i) {
    layout.widths[i] = std::string_view(kTitles[i]).size();
    for (const auto& each : rows) layout.widths[i] = std::max(layout.widths[i], each[i].size());
    text += layout.widths[i];
  }
  const auto excess = [&] { return std::max(text + layout.gap * (kTitles.size() - 1), kWidth) - kWidth; };
  auto& prefix = layout.widths[kPrefix];
  if (excess() > prefix - std::min(prefix, kLeastPrefix)) layout.gap = 1;
  prefix -= std::min(excess(), prefix - std::min(prefix, kLeastPrefix));
  return layout;
}

std::string line(const Row& cells, const Layout& layout, Colour of_state, Colour of_all, Paint paint) {
  std::string out;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const auto cell = clipped(cells[i], layout.widths[i]);
    const std::string space(layout.widths[i] - cell.size(), ' ');
    const auto text = painted(cell, i == kState ? of_state : of_all, paint);
    if (i > 0) out.append(layout.gap, ' ');
    out += i < kRx ? text + space : space + text;
  }
  return out + "\n";
}

// "  NAT64 prefix: 64:ff9b::/96"
class Lines {
 public:
  explicit Lines(Paint paint) : paint_(paint) {}
  void add(std::string_view label, const std::string& text) {
    if (!text.empty()) out_ += "  " + painted(std::string(label) + ":", Colour::bold, paint_) + " " + text + "\n";
  }
  std::string out_;

 private:
  Paint paint_;
};

std::string source_text(const InterfaceStatus& status) {
  const auto used = std::ranges::find(status.offers, status.prefix,
                                      [](const auto& each) { return std::optional(each.candidate.prefix); });
  if (status.prefix_source == PrefixSource::config || used == status.offers.end()) return ", from the config";
  std::string text;
  switch (used->candidate.source) {
    case PrefixSource::ra: text = ", advertised by " + text_or_dash(used->candidate.router); break;
    case PrefixSource::dns: text = ", from the DNS"; break;
    case PrefixSource::record: text = ", in use before; nobody has spoken yet"; break;
    case PrefixSource::config: break;
  }
  if (used->expires_in) text += ", for " + duration_text(*used->expires_in) + " more";
  return text;
}

std::string count(const Flow& flow) {
  return bytes_text(flow.bytes) + " in " + std::to_string(flow.packets) + " packets";
}

// Of both paths, each where it carried something.
std::string flows(const InterfaceStatus& status, Flow Traffic::* fast, Flow Traffic::* shortcut,
                  Flow Traffic::* clatd) {
  const auto now = traffic(status.counted.now);
  const auto rate = traffic_per_second(status.counted);
  std::string text;
  const auto add = [&](Flow Traffic::* flow, const char* by) {
    if ((now.*flow).packets == 0) return;
    text += (text.empty() ? "" : ", ") + count(now.*flow) + by;
    if (rate && ((*rate).*flow).bytes > 0) text += " (" + bytes_text(((*rate).*flow).bytes) + "/s)";
  };
  add(fast, " by the fast path");
  add(shortcut, " by the shortcut");
  add(clatd, " by clatd");
  return text.empty() && !status.counted.now.empty() ? "nothing yet" : text;
}

std::string child_text(const ChildStatus& child) {
  std::string text(name(child.state));
  if (child.pid != 0) text += ", pid " + std::to_string(child.pid);
  text += ", " + std::to_string(child.restarts) + (child.restarts == 1 ? " restart" : " restarts");
  if (child.next_start_in) text += ", next start in " + duration_text(*child.next_start_in);
  if (child.last_end) text += ", last end: " + render::text(*child.last_end);
  return text;
}

// What was not translated, by reason.
std::string drops(const Counters& counters) {
  std::string text;
  for (const auto& [key, number] : counters) {
    const auto parsed = parse_counter(key);
    if (parsed.kind != Parsed::Kind::drop || number == 0) continue;
    text += (text.empty() ? "" : ", ") + std::to_string(number) + " " + std::string(parsed.what) +
            (parsed.fast ? "" : " (clatd)");
  }
  return text;
}

std::string route_text(const InterfaceStatus& status) {
  if (!status.metric) return "none, by the config";
  return "metric " + std::to_string(*status.metric) + (status.route_is_taken ? ", taken by another route" : "");
}

}  // namespace

std::string table(const Status& status, Paint paint) {
  std::vector<Row> rows;
  for (const auto& each : status.interfaces) rows.push_back(row(each));
  const auto wide = layout(rows);
  Row titles;
  std::ranges::copy(kTitles, titles.begin());
  std::string out = line(titles, wide, Colour::bold, Colour::bold, paint);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    out += line(rows[i], wide, colour_of(status.interfaces[i].state), Colour::none, paint);
  }
  std::string why;
  for (const auto& each : findings(status)) why += each.text + "\n";
  for (const auto& each : status.interfaces) {
    if (const auto reason = reason_text(each); !reason.empty()) why += each.name + ": " + reason + "\n";
  }
  return why.empty() ? out : out + "\n" + why;
}

std::string detail(const InterfaceStatus& status, Paint paint) {
  Lines lines(paint);
  lines.out_ =
      painted("interface:", Colour::bold, paint) + " " + painted(status.name, colour_of(status.state), paint) + "\n";
  lines.add("state", std::string(name(status.state)) + " for " + duration_text(status.in_state));
  lines.add("reason", reason_text(status));
  if (status.v4) lines.add("IPv4 address", status.v4->text() + " on " + status.tun);
  if (status.v6) lines.add("IPv6 address", status.v6->text());
  for (const auto& range : status.ranges) lines.add("one to one", text(range));
  if (status.prefix) lines.add("NAT64 prefix", status.prefix->text() + source_text(status));
  for (const auto& offer : status.offers) {
    if (status.prefix == offer.candidate.prefix) continue;
    lines.add("other prefix", offer.candidate.prefix.text() + ", by " + std::string(name(offer.candidate.source)));
  }
  if (status.route && status.route->next_hop) lines.add("next hop", status.route->next_hop->text());
  if (status.ipv6_mtu != 0 && status.ipv4_mtu != 0) {
    lines.add("MTU", std::to_string(status.ipv4_mtu) + " IPv4, " + std::to_string(status.ipv6_mtu) + " IPv6");
  }
  lines.add("default route", route_text(status));
  lines.add("path", std::string(path(status)));
  lines.add("shaping", text(status.shaping));
  lines.add("clatd", child_text(status.child));
  lines.add("received", flows(status, &Traffic::fast_rx, &Traffic::shortcut_rx, &Traffic::clatd_rx));
  lines.add("sent", flows(status, &Traffic::fast_tx, &Traffic::shortcut_tx, &Traffic::clatd_tx));
  lines.add("dropped", drops(status.counted.now));
  return lines.out_;
}

}  // namespace clat::render
