#include "config/schema.hpp"

#include <sys/un.h>

#include <set>

#include "config/scalar.hpp"

namespace clat::config {

namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::uint32_t kFastestIcmpRate = 1'000'000;
constexpr double kLargestFactor = 100;

// A mapping while it is read, with the values that are checked once all of it is known.
struct RestartDraft {
  Restart values;
  Place max;
};
struct ClatdDraft {
  Clatd values;
  Place path, user, dialect;
  RestartDraft restart;
};
struct Draft {
  // Read when all is known. Null: not there.
  const Node* interfaces = nullptr;
  const Entry* defaults = nullptr;
  ClatdDraft clatd;
  Config values;
};

auto between(milliseconds min, milliseconds max) {
  return [=](std::string_view text) { return duration(text, min, max); };
}

auto number_between(double min, double max) {
  return [=](std::string_view text) { return decimal(text, min, max); };
}

constexpr std::array<Key<RestartDraft>, 5> kRestartKeys{{
    {"initial",
     [](Reader& reader, const Entry& entry, RestartDraft& draft) {
       draft.max = std::max(draft.max, entry.value.place);
       reader.take(entry, draft.values.initial, between(milliseconds(1), hours(1)));
     }},
    {"max",
     [](Reader& reader, const Entry& entry, RestartDraft& draft) {
       draft.max = std::max(draft.max, entry.value.place);
       reader.take(entry, draft.values.max, between(milliseconds(1), hours(24)));
     }},
    {"factor", [](Reader& reader, const Entry& entry,
                  RestartDraft& draft) { reader.take(entry, draft.values.factor, number_between(1, kLargestFactor)); }},
    {"jitter", [](Reader& reader, const Entry& entry,
                  RestartDraft& draft) { reader.take(entry, draft.values.jitter, number_between(0, 1)); }},
    {"stable-after",
     [](Reader& reader, const Entry& entry, RestartDraft& draft) {
       reader.take(entry, draft.values.stable_after, between(milliseconds(1), hours(24)));
     }},
}};

void read_restart(Reader& reader, const Entry& entry, ClatdDraft& draft) {
  RestartDraft& restart = draft.restart;
  reader.take_mapping(entry, kRestartKeys, restart);
  if (restart.values.max < restart.values.initial) {
    reader.fail(restart.max, "restart: max " + text_of(restart.values.max) + " is less than initial " +
                                 text_of(restart.values.initial));
  }
  draft.values.restart = restart.values;
}

constexpr std::array<Key<ClatdDraft>, 5> kClatdKeys{{
    {"path",
     [](Reader& reader, const Entry& entry, ClatdDraft& draft) {
       draft.path = entry.value.place;
       if (!reader.is_filled(entry, Node::Kind::scalar) || entry.value.text == "auto") return;
       if (!reader.take(entry, draft.values.path, absolute_path)) return;
       if (!reader.surroundings().is_executable(draft.values.path)) {
         reader.fail(entry, in_quotes(draft.values.path) + " is not an executable file");
       }
     }},
    {"dialect",
     [](Reader& reader, const Entry& entry, ClatdDraft& draft) {
       constexpr std::array<std::pair<std::string_view, Dialect>, 3> kDialects{
           {{"native", Dialect::native}, {"aosp", Dialect::aosp}, {"aosp-2019", Dialect::aosp_2019}}};
       draft.dialect = entry.value.place;
       reader.take(entry, draft.values.dialect, [&](auto text) { return choice(text, kDialects); });
     }},
    {"user",
     [](Reader& reader, const Entry& entry, ClatdDraft& draft) {
       draft.user = entry.value.place;
       reader.take(entry, draft.values.user, plain_text);
     }},
    {"restart", read_restart},
    {"stop-timeout",
     [](Reader& reader, const Entry& entry, ClatdDraft& draft) {
       reader.take(entry, draft.values.stop_timeout, between(milliseconds(1), minutes(10)));
     }},
}};

constexpr std::array<Key<Log>, 4> kLogKeys{{
    {"level",
     [](Reader& reader, const Entry& entry, Log& log) {
       constexpr std::array<std::pair<std::string_view, LogLevel>, 4> kLevels{{{"debug", LogLevel::debug},
                                                                               {"info", LogLevel::info},
                                                                               {"warn", LogLevel::warn},
                                                                               {"error", LogLevel::error}}};
       reader.take(entry, log.level, [&](auto text) { return choice(text, kLevels); });
     }},
    {"format",
     [](Reader& reader, const Entry& entry, Log& log) {
       constexpr std::array<std::pair<std::string_view, LogFormat>, 2> kFormats{
           {{"logfmt", LogFormat::logfmt}, {"json", LogFormat::json}}};
       reader.take(entry, log.format, [&](auto text) { return choice(text, kFormats); });
     }},
    {"target",
     [](Reader& reader, const Entry& entry, Log& log) {
       reader.take(entry, log.target, [](std::string_view text) -> Result<std::string> {
         if (text == "stderr" || text == "syslog") return std::string(text);
         if (!text.starts_with('/')) return failure(in_quotes(text) + " is not stderr, syslog or an absolute path");
         return absolute_path(text);
       });
     }},
    {"health-interval",
     [](Reader& reader, const Entry& entry, Log& log) {
       reader.take(entry, log.health_interval, between(milliseconds(10), hours(24)));
     }},
}};

Result<std::string> socket_path(std::string_view text) {
  constexpr auto kLongest = sizeof(sockaddr_un::sun_path) - 1;
  if (text.size() > kLongest) {
    return failure("the path of a socket is at most " + std::to_string(kLongest) + " bytes long");
  }
  return absolute_path(text);
}

constexpr std::array<Key<ControlSocket>, 2> kControlSocketKeys{{
    {"path",
     [](Reader& reader, const Entry& entry, ControlSocket& socket) { reader.take(entry, socket.path, socket_path); }},
    {"group",
     [](Reader& reader, const Entry& entry, ControlSocket& socket) {
       if (!reader.take(entry, socket.group, plain_text)) return;
       socket.gid = reader.surroundings().find_group(socket.group);
       if (!socket.gid) reader.fail(entry, "there is no group " + in_quotes(socket.group));
     }},
}};

template <bool Lan::* Wish>
void read_wish(Reader& reader, const Entry& entry, Config& config) {
  constexpr std::array<std::pair<std::string_view, bool>, 2> kAnswers{{{"true", true}, {"false", false}}};
  reader.take(entry, config.lan.*Wish, [&](auto text) { return choice(text, kAnswers); });
}

void read_offload(Reader& reader, const Entry& entry, Config& config) {
  reader.take_list(entry, config.offload, interface_name_or_altname);
  std::set<std::string_view> seen;
  for (const auto& device : config.offload) {
    if (!seen.insert(device).second) reader.fail(entry, in_quotes(device) + " is named twice");
  }
}

constexpr std::array<Key<Config>, 4> kLanKeys{{
    {"masquerade", read_wish<&Lan::masquerade>},
    {"clamp-mss", read_wish<&Lan::clamp_mss>},
    {"forwarding", read_wish<&Lan::forwarding>},
    {"offload", read_offload},
}};
constexpr std::array<std::string_view, 1> kReservedOfLan{"flush-on-failover"};

// A path, `off`, or a mapping.
void read_control_socket(Reader& reader, const Entry& entry, ControlSocket& socket) {
  if (entry.value.kind != Node::Kind::scalar) return reader.take_mapping(entry, kControlSocketKeys, socket);
  if (entry.value.text == "off")
    socket.path.clear();
  else
    reader.take(entry, socket.path, socket_path);
}

constexpr std::array<Key<Draft>, 1> kDnsKeys{{
    {"servers",
     [](Reader& reader, const Entry& entry, Draft& draft) {
       reader.take_list(entry, draft.values.dns_servers, name_server);
       if (draft.values.dns_servers.size() > kMostNameServers) {
         reader.fail(entry, "at most " + std::to_string(kMostNameServers) + " servers are asked");
       }
     }},
}};

constexpr std::array<Key<Draft>, 12> kTopKeys{{
    {"interfaces",
     [](Reader& reader, const Entry& entry, Draft& draft) {
       if (!reader.is_filled(entry, Node::Kind::mapping)) return;
       if (entry.value.entries.empty()) reader.fail(entry, "at least one is needed");
       draft.interfaces = &entry.value;
     }},
    {"defaults", [](Reader& /*reader*/, const Entry& entry, Draft& draft) { draft.defaults = &entry; }},
    {"clatd",
     [](Reader& reader, const Entry& entry, Draft& draft) { reader.take_mapping(entry, kClatdKeys, draft.clatd); }},
    {"log",
     [](Reader& reader, const Entry& entry, Draft& draft) { reader.take_mapping(entry, kLogKeys, draft.values.log); }},
    {"ipv4-pool",
     [](Reader& reader, const Entry& entry, Draft& draft) { reader.take(entry, draft.values.ipv4_pool, ipv4_pool); }},
    {"lan",
     [](Reader& reader, const Entry& entry, Draft& draft) {
       if (!reader.is_filled(entry, Node::Kind::mapping)) return;
       reader.take_keys(entry.value, kLanKeys, draft.values, kReservedOfLan);
     }},
    {"dns", [](Reader& reader, const Entry& entry, Draft& draft) { reader.take_mapping(entry, kDnsKeys, draft); }},
    {"audit-interval",
     [](Reader& reader, const Entry& entry, Draft& draft) {
       reader.take(entry, draft.values.audit_interval, between(milliseconds(10), hours(1)));
     }},
    {"icmp-rate",
     [](Reader& reader, const Entry& entry, Draft& draft) {
       reader.take(entry, draft.values.icmp_rate_per_second,
                   [](auto text) { return rate_per_second(text, kFastestIcmpRate); });
     }},
    {"control-socket", [](Reader& reader, const Entry& entry,
                          Draft& draft) { read_control_socket(reader, entry, draft.values.control_socket); }},
    {"state-dir", [](Reader& reader, const Entry& entry,
                     Draft& draft) { reader.take(entry, draft.values.state_dir, absolute_path); }},
    {"bpf-dir",
     [](Reader& reader, const Entry& entry, Draft& draft) { reader.take(entry, draft.values.bpf_dir, absolute_path); }},
}};

// clatd and its user must be there also when the file does not name them; the place is then that of the whole file.
void look_around(ClatdDraft& draft, Reader& reader) {
  const Surroundings& here = reader.surroundings();
  if (draft.values.path.empty()) {
    const auto found = std::ranges::find_if(here.clatd_paths, here.is_executable);
    if (found != here.clatd_paths.end()) {
      draft.values.path = *found;
    } else {
      std::string places;
      for (const auto& path : here.clatd_paths) places.append(places.empty() ? "" : " or ").append(in_quotes(path));
      reader.fail(draft.path, "path: clatd not found" + (places.empty() ? places : " at " + places) +
                                  "; name it as clatd: {path: /...}");
    }
  }
  if (draft.values.user == "auto") draft.values.user = here.find_user("clatvisor") ? "clatvisor" : "nobody";
  const auto account = here.find_user(draft.values.user);
  if (!account) {
    reader.fail(draft.user, "user: there is no user " + in_quotes(draft.values.user));
  } else if (account->uid == 0) {
    reader.fail(draft.user, "user: clatd must not run as root");
  } else {
    draft.values.uid = account->uid;
    draft.values.gid = account->gid;
  }
}

// Android's clatd takes a prefix without its length, and one descriptor of the tun.
void refuse_what_android_cannot(const ClatdDraft& clatd, const std::vector<Interface>& interfaces, Reader& reader) {
  if (clatd.values.dialect == Dialect::native) return;
  const std::string dialect = "dialect: " + in_quotes(clatd.values.dialect == Dialect::aosp ? "aosp" : "aosp-2019");
  for (const Interface& each : interfaces) {
    if (each.nat64_prefix && each.nat64_prefix->length() != 96) {
      reader.fail(clatd.dialect, dialect + " needs NAT64 prefixes of length 96; that of " + in_quotes(each.name) +
                                     " is " + each.nat64_prefix->text());
    }
    if (!each.ranges.empty()) {
      reader.fail(clatd.dialect, dialect + " maps no ipv4-source; " + in_quotes(each.name) + " has one");
    }
    if (each.queues != 1) {
      reader.fail(clatd.dialect,
                  dialect + " has one queue; " + in_quotes(each.name) + " wants " + std::to_string(each.queues));
    }
  }
}

}  // namespace

Config read_config(const Node& root, Reader& reader) {
  Draft draft;
  if (root.kind == Node::Kind::broken) return {};
  if (root.kind == Node::Kind::scalar && root.text.empty()) {
    reader.fail(root.place, "the document is empty");
    return {};
  }
  if (root.kind != Node::Kind::mapping) {
    reader.fail(root.place, "a config consists of keys and values, but here is " + std::string(describe(root.kind)));
    return {};
  }
  reader.take_keys(root, kTopKeys, draft);
  if (!has_or_means(root, "interfaces")) reader.fail(Place{}, "no interfaces: at least one is needed");
  look_around(draft.clatd, reader);

  Config config = std::move(draft.values);
  // The one may stand behind the other.
  if (draft.interfaces != nullptr) {
    config.interfaces = read_interfaces(*draft.interfaces, draft.defaults, config.ipv4_pool, reader);
  }
  refuse_what_android_cannot(draft.clatd, config.interfaces, reader);
  config.clatd = std::move(draft.clatd.values);
  return config;
}

}  // namespace clat::config
