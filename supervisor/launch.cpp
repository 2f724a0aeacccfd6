#include "supervisor/launch.hpp"

#include <array>
#include <charconv>

namespace clat {

namespace {

std::string prefix_text(const model::ChildSpec& child) {
  return child.dialect == config::Dialect::native ? child.prefix.text() : child.prefix.address().text();
}

// The words behind those that all dialects share.
std::vector<std::string> own_words(const model::ChildSpec& child) {
  switch (child.dialect) {
    case config::Dialect::native: {
      std::vector<std::string> words{"--tun-format",
                                     "vnet",
                                     "--control-fd",
                                     "4",
                                     "--user",
                                     std::to_string(child.uid) + ":" + std::to_string(child.gid),
                                     "--mtu",
                                     std::to_string(child.mtu),
                                     "--lowest-ipv6-mtu",
                                     std::to_string(child.lowest_ipv6_mtu),
                                     "--icmp-rate",
                                     std::to_string(child.icmp_rate),
                                     "--queues",
                                     std::to_string(child.queues)};
      if (child.allow_private_ipv4) words.emplace_back("--allow-private-ipv4");
      for (const auto& range : child.ranges) words.insert(words.end(), {"--map", range.text()});
      return words;
    }
    case config::Dialect::aosp: return {"-r", "4", "-w", "5"};
    case config::Dialect::aosp_2019: return {};
  }
  return {};
}

std::string hexadecimal(std::uint32_t number) {
  std::array<char, 8> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number, 16).ptr;
  return "0x" + std::string(digits.data(), end);
}

}  // namespace

std::vector<std::string> clatd_argv(const model::ChildSpec& child) {
  std::vector<std::string> argv{"clatd-" + child.uplink, "-i", child.uplink};
  if (child.dialect == config::Dialect::aosp_2019) {
    argv.insert(argv.end(), {"-n", std::to_string(child.net_id), "-m", hexadecimal(child.mark)});
  }
  argv.insert(argv.end(), {"-p", prefix_text(child), "-4", child.v4.text(), "-6", child.v6.text(), "-t", "3"});
  const auto more = own_words(child);
  argv.insert(argv.end(), more.begin(), more.end());
  return argv;
}

std::vector<std::string> hook_environment(const std::string& uplink, const model::HookState& state) {
  std::vector<std::string> all{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  const auto add = [&all](std::string_view name, std::string_view value) {
    all.emplace_back("CLATVISOR_").append(name).append("=").append(value);
  };
  const auto text = [](const auto& value) { return value ? value->text() : std::string(); };
  add("EVENT", model::hook_event(state.up));
  add("IFACE", uplink);
  add("TUN", state.tun);
  add("V4", text(state.v4));
  add("V6", text(state.v6));
  add("PREFIX", text(state.prefix));
  add("MTU", state.mtu == 0 ? "" : std::to_string(state.mtu));
  add("REASON_CODE", state.why ? model::code(*state.why) : "");
  return all;
}

}  // namespace clat
