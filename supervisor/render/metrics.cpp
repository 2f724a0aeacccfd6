#include "supervisor/render/metrics.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "supervisor/render/json.hpp"
#include "supervisor/render/traffic.hpp"

namespace clat::render {

using namespace model;

namespace {

using Labels = std::vector<std::pair<std::string_view, std::string>>;

// Names of interfaces are bytes of the kernel's: only these three have to be escaped.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char letter : text) {
    if (letter == '\n') {
      out += "\\n";
      continue;
    }
    if (letter == '\\' || letter == '"') out += '\\';
    out += letter;
  }
  return out;
}

class Page {
 public:
  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    const auto full = "clatvisor_" + std::string(name);
    out_ += "# HELP " + full + " " + std::string(help) + "\n# TYPE " + full + " " + std::string(type) + "\n";
  }
  void sample(const Labels& labels, const std::string& value) {
    out_ += "clatvisor_" + name_;
    char before = '{';
    for (const auto& [key, text] : labels) {
      out_ += before;
      out_.append(key).append("=\"").append(escaped(text)).append("\"");
      before = ',';
    }
    if (before == ',') out_ += '}';
    out_ += " " + value + "\n";
  }
  void sample(const Labels& labels, std::uint64_t value) { sample(labels, std::to_string(value)); }
  [[nodiscard]] std::string take() && { return std::move(out_); }

 private:
  std::string name_;
  std::string out_;
};

std::string seconds(milliseconds time) { return json_text(time); }

using Of = std::function<void(Page&, const InterfaceStatus&, const Labels&)>;

// One family, a sample or more for each interface.
void each(Page& page, const Status& status, std::string_view name, std::string_view type, std::string_view help,
          const Of& sample) {
  page.family(name, type, help);
  for (const auto& one : status.interfaces) sample(page, one, {{"interface", one.name}});
}

Labels with(Labels labels, std::string_view key, std::string_view value) {
  labels.emplace_back(key, value);
  return labels;
}

constexpr std::array kStates{State::waiting, State::starting, State::up,
                             State::backoff, State::failed,   State::stopping};
constexpr std::array kChildStates{ChildState::none,    ChildState::starting, ChildState::running, ChildState::stopping,
                                  ChildState::backoff, ChildState::flapping, ChildState::failed};

struct Way {
  const char* direction;
  const char* path;
  Flow Traffic::* flow;
};
constexpr std::array<Way, 6> kWays{{{"to_ipv6", "fast", &Traffic::fast_tx},
                                    {"to_ipv4", "fast", &Traffic::fast_rx},
                                    {"to_ipv6", "shortcut", &Traffic::shortcut_tx},
                                    {"to_ipv4", "shortcut", &Traffic::shortcut_rx},
                                    {"to_ipv6", "clatd", &Traffic::clatd_tx},
                                    {"to_ipv4", "clatd", &Traffic::clatd_rx}}};

void flows(Page& page, const InterfaceStatus& status, const Labels& labels, std::uint64_t Flow::* count) {
  const auto sum = traffic(status.counted.now);
  for (const auto& way : kWays) {
    page.sample(with(with(labels, "direction", way.direction), "path", way.path), (sum.*way.flow).*count);
  }
}

void of_kind(Page& page, const InterfaceStatus& status, const Labels& labels, Parsed::Kind kind) {
  for (const auto& [key, value] : status.counted.now) {
    const auto parsed = parse_counter(key);
    if (parsed.kind != kind) continue;
    auto all = kind == Parsed::Kind::punt ? with(labels, "direction", parsed.to_ipv6 ? "to_ipv6" : "to_ipv4")
                                          : with(labels, "path", parsed.fast ? "fast" : "clatd");
    page.sample(with(std::move(all), "reason", parsed.what), value);
  }
}

// A counter that stands for itself; no sample where it was not counted.
void plain(Page& page, const InterfaceStatus& status, const Labels& labels, std::string_view name) {
  for (const auto& [key, value] : status.counted.now) {
    if (key == name) page.sample(labels, value);
  }
}

void counters(Page& page, const Status& status) {
  each(page, status, "packets_total", "counter", "Packets translated, by direction and path.",
       [](auto& to, const auto& it, const auto& labels) { flows(to, it, labels, &Flow::packets); });
  each(page, status, "bytes_total", "counter", "Bytes of packets before translation, from the IP header on.",
       [](auto& to, const auto& it, const auto& labels) { flows(to, it, labels, &Flow::bytes); });
  each(page, status, "punted_packets_total", "counter", "Packets that the fast path left to clatd.",
       [](auto& to, const auto& it, const auto& labels) { of_kind(to, it, labels, Parsed::Kind::punt); });
  each(page, status, "dropped_packets_total", "counter", "Packets dropped, by path and reason.",
       [](auto& to, const auto& it, const auto& labels) { of_kind(to, it, labels, Parsed::Kind::drop); });
  each(page, status, "icmp_errors_total", "counter", "ICMP errors that clatd made itself.",
       [](auto& to, const auto& it, const auto& labels) { plain(to, it, labels, "slow_answers"); });
  each(page, status, "icmp_errors_limited_total", "counter", "ICMP errors that icmp-rate kept back.",
       [](auto& to, const auto& it, const auto& labels) { plain(to, it, labels, "slow_answers_limited"); });
  each(page, status, "write_errors_total", "counter", "Packets that clatd could not write to its tun.",
       [](auto& to, const auto& it, const auto& labels) { plain(to, it, labels, "slow_write_errors"); });
  each(page, status, "shortcut_refused_total", "counter", "Flows that could not go past the stack: a full table, say.",
       [](auto& to, const auto& it, const auto& labels) { plain(to, it, labels, "shortcut_refused"); });
  each(page, status, "shortcut_overruns_total", "counter",
       "Times that the kernel told of more connections than was room for.",
       [](auto& to, const auto& it, const auto& labels) { plain(to, it, labels, "shortcut_overruns"); });
  each(page, status, "solicitations_answered_total", "counter", "Neighbour solicitations answered by the programs.",
       [](auto& to, const auto& it, const auto& labels) { plain(to, it, labels, "solicitations_answered"); });
}

void gauges(Page& page, const Status& status) {
  each(page, status, "shortcut_flows", "gauge", "Flows of the LAN that may go past the stack.",
       [](auto& to, const auto& it, const auto& labels) { plain(to, it, labels, "shortcut_flows"); });
  each(page, status, "interface_up", "gauge", "1 while the CLAT carries IPv4.",
       [](auto& to, const auto& it, const auto& labels) { to.sample(labels, std::uint64_t{it.state == State::up}); });
  each(page, status, "interface_state", "gauge", "1 for the state that the CLAT is in.",
       [](auto& to, const auto& it, const auto& labels) {
         for (const auto state : kStates) {
           to.sample(with(labels, "state", name(state)), std::uint64_t{it.state == state});
         }
       });
  each(page, status, "interface_state_seconds", "gauge", "How long it has been in that state.",
       [](auto& to, const auto& it, const auto& labels) { to.sample(labels, seconds(it.in_state)); });
  each(page, status, "fast_path_attached", "gauge", "1 while the programs of the fast path are attached.",
       [](auto& to, const auto& it, const auto& labels) { to.sample(labels, std::uint64_t{!it.fast_path.empty()}); });
  each(page, status, "clatd_state", "gauge", "1 for the state that clatd is in.",
       [](auto& to, const auto& it, const auto& labels) {
         for (const auto state : kChildStates) {
           to.sample(with(labels, "state", name(state)), std::uint64_t{it.child.state == state});
         }
       });
  each(page, status, "clatd_restarts_total", "counter", "Starts of clatd after the first one.",
       [](auto& to, const auto& it, const auto& labels) { to.sample(labels, it.child.restarts); });
}

}  // namespace

std::string metrics(const Status& status, std::string_view version) {
  Page page;
  page.family("info", "gauge", "1; the version is in a label.");
  page.sample({{"version", std::string(version)}}, 1);
  page.family("uptime_seconds", "gauge", "Since clatvisor started.");
  page.sample({}, seconds(status.uptime));
  page.family("reloads_total", "counter", "Config files that were accepted after the first.");
  page.sample({}, status.reloads);
  page.family("config_refused", "gauge", "1 while the config file that was read last is one that was refused.");
  page.sample({}, std::uint64_t{status.refused.has_value()});
  gauges(page, status);
  counters(page, status);
  return std::move(page).take();
}

}  // namespace clat::render
