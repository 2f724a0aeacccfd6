#include <functional>
#include <limits>
#include <unordered_map>

#include "config/scalar.hpp"
#include "config/schema.hpp"
#include "config/sources.hpp"
#include "core/net/mtu.hpp"

namespace clat::config {

namespace {

constexpr std::uint32_t kFirstMetric = 2048;
constexpr std::uint32_t kMostQueues = 8;
constexpr std::size_t kMostHookWords = 64;

// An interface while it is read, with the places that a comparison with others must name.
struct Draft {
  Place name;
  bool discovers = false;
  bool metric_given = false;
  Place metric_place{}, ipv4_place{}, ipv6_place{};
  std::optional<Place> tun_place{};
  SourcesDraft sources{};
  std::optional<std::string> tun{};
  Interface values;
};

struct ProbeDraft {
  bool has_address = false;
  Probe values;
};

Result<std::uint32_t> mtu(std::string_view text) {
  return whole_number(text, kIpv6MinimumMtu, kLargestIpv6Mtu, "auto");
}

Result<std::uint32_t> any_number(std::string_view text) {
  return whole_number(text, 0, std::numeric_limits<std::uint32_t>::max());
}

constexpr std::array<Key<Draft>, 1> kRouteKeys{{
    {"metric",
     [](Reader& reader, const Entry& entry, Draft& draft) {
       draft.metric_given = reader.take(entry, draft.values.route_metric, any_number);
       draft.metric_place = entry.value.place;
     }},
}};

void read_default_route(Reader& reader, const Entry& entry, Draft& draft) {
  const Node& value = entry.value;
  if (value.kind == Node::Kind::mapping) {
    reader.take_keys(value, kRouteKeys, draft);
  } else if (value.kind == Node::Kind::scalar && value.text == "false") {
    draft.values.route_metric.reset();
  } else if (value.kind == Node::Kind::sequence) {
    reader.fail(entry, "a list is not false or {metric: NUMBER}");
  } else if (reader.is_filled(entry, Node::Kind::scalar)) {
    reader.fail(entry, in_quotes(value.text) + " is not false or {metric: NUMBER}");
  }
}

constexpr std::array<Key<Draft>, 2> kPrefixKeys{{
    {"auto",
     [](Reader& reader, const Entry& entry, Draft& draft) {
       constexpr std::array<std::pair<std::string_view, bool>, 1> kTrue{{{"true", true}}};
       reader.take(entry, draft.discovers, [&](auto text) { return choice(text, kTrue); });
     }},
    {"only", [](Reader& reader, const Entry& entry,
                Draft& draft) { reader.take_list(entry, draft.values.only_prefixes, nat64_prefix); }},
}};

void read_nat64_prefix(Reader& reader, const Entry& entry, Draft& draft) {
  draft.values.only_prefixes.clear();  // of the defaults
  if (entry.value.kind != Node::Kind::mapping) {
    reader.take_unless_auto(entry, draft.values.nat64_prefix, nat64_prefix);
    return;
  }
  draft.values.nat64_prefix.reset();
  draft.discovers = false;
  reader.take_keys(entry.value, kPrefixKeys, draft);
  if (!draft.discovers) reader.fail(entry, "'only' goes with 'auto: true'");
}

constexpr std::array<Key<ProbeDraft>, 2> kProbeKeys{{
    {"address",
     [](Reader& reader, const Entry& entry, ProbeDraft& draft) {
       draft.has_address = true;
       reader.take(entry, draft.values.address, ipv4_host);
     }},
    {"interval",
     [](Reader& reader, const Entry& entry, ProbeDraft& draft) {
       reader.take(entry, draft.values.interval,
                   [](auto text) { return duration(text, std::chrono::seconds(1), std::chrono::hours(1)); });
     }},
}};

void read_probe(Reader& reader, const Entry& entry, Draft& draft) {
  const Node& value = entry.value;
  draft.values.probe.reset();  // of the defaults
  if (value.kind == Node::Kind::mapping) {
    ProbeDraft probe;
    reader.take_keys(value, kProbeKeys, probe);
    if (!probe.has_address) reader.fail(entry, "the address that is to answer is missing");
    draft.values.probe = probe.values;
  } else if (value.kind == Node::Kind::sequence) {
    reader.fail(entry, "a list is not false or {address: ADDRESS}");
  } else if (reader.is_filled(entry, Node::Kind::scalar) && value.text != "false") {
    reader.fail(entry, in_quotes(value.text) + " is not false or {address: ADDRESS}");
  }
}

// A program and its arguments. What is said here takes the place of the defaults, also an empty list.
template <std::vector<std::string> Interface::* Hook>
void read_hook(Reader& reader, const Entry& entry, Draft& draft) {
  auto& argv = draft.values.*Hook;
  argv.clear();
  reader.take_list(entry, argv, plain_text);
  if (argv.empty()) return;
  if (argv.size() > kMostHookWords) {
    reader.fail(entry, "a hook takes at most " + std::to_string(kMostHookWords - 1) + " arguments");
  }
  const auto& place = entry.value.entries.front().value.place;
  if (const auto path = absolute_path(argv.front()); !path) {
    reader.fail(place, entry.key + ": " + path.error().what);
  } else if (const auto& check = reader.surroundings().check_hook) {
    if (const auto trusted = check(*path); !trusted) reader.fail(place, entry.key + ": " + trusted.error().text());
  }
}

constexpr std::array<Key<Draft>, 19> kInterfaceKeys{{
    {"nat64-prefix", read_nat64_prefix},
    {"ipv4-address",
     [](Reader& reader, const Entry& entry, Draft& draft) {
       draft.ipv4_place = entry.value.place;
       reader.take_unless_auto(entry, draft.values.ipv4_address, clat_ipv4_address);
     }},
    {"ipv6-address",
     [](Reader& reader, const Entry& entry, Draft& draft) {
       draft.ipv6_place = entry.value.place;
       reader.take_unless_auto(entry, draft.values.ipv6_address, clat_ipv6_address);
     }},
    {"ipv4-source",
     [](Reader& reader, const Entry& entry, Draft& draft) { read_ipv4_source(reader, entry, draft.sources); }},
    {"ipv6-source",
     [](Reader& reader, const Entry& entry, Draft& draft) { read_ipv6_source(reader, entry, draft.sources); }},
    {"mtu",
     [](Reader& reader, const Entry& entry, Draft& draft) { reader.take_unless_auto(entry, draft.values.mtu, mtu); }},
    {"when",
     [](Reader& reader, const Entry& entry, Draft& draft) {
       constexpr std::array<std::pair<std::string_view, When>, 2> kTimes{
           {{"no-native-ipv4", When::no_native_ipv4}, {"always", When::always}}};
       reader.take(entry, draft.values.when, [&](auto text) { return choice(text, kTimes); });
     }},
    {"fast-path",
     [](Reader& reader, const Entry& entry, Draft& draft) {
       constexpr std::array<std::pair<std::string_view, FastPathMode>, 3> kModes{
           {{"auto", FastPathMode::automatic}, {"off", FastPathMode::off}, {"required", FastPathMode::required}}};
       reader.take(entry, draft.values.fast_path, [&](auto text) { return choice(text, kModes); });
     }},
    {"default-route", read_default_route},
    {"mark",
     [](Reader& reader, const Entry& entry, Draft& draft) { reader.take(entry, draft.values.mark, hex_or_decimal); }},
    {"net-id",
     [](Reader& reader, const Entry& entry, Draft& draft) { reader.take(entry, draft.values.net_id, any_number); }},
    {"tun",
     [](Reader& reader, const Entry& entry, Draft& draft) {
       draft.tun_place = entry.value.place;
       reader.take_unless_auto(entry, draft.tun, interface_name);
     }},
    {"queues",
     [](Reader& reader, const Entry& entry, Draft& draft) {
       reader.take(entry, draft.values.queues, [](auto text) { return whole_number(text, 1, kMostQueues); });
     }},
    {"lowest-ipv6-mtu", [](Reader& reader, const Entry& entry,
                           Draft& draft) { reader.take_unless_auto(entry, draft.values.lowest_ipv6_mtu, mtu); }},
    {"allow-private-ipv4",
     [](Reader& reader, const Entry& entry, Draft& draft) {
       constexpr std::array<std::pair<std::string_view, bool>, 2> kAnswers{{{"true", true}, {"false", false}}};
       reader.take(entry, draft.values.allow_private_ipv4, [&](auto text) { return choice(text, kAnswers); });
     }},
    {"on-up", read_hook<&Interface::on_up>},
    {"on-down", read_hook<&Interface::on_down>},
    {"shaping",
     [](Reader& reader, const Entry& entry, Draft& draft) {
       constexpr std::array<std::pair<std::string_view, bool>, 2> kAnswers{{{"follow", true}, {"ignore", false}}};
       reader.take(entry, draft.values.follow_shaping, [&](auto text) { return choice(text, kAnswers); });
     }},
    {"probe", read_probe},
}};

constexpr std::array<std::string_view, 1> kReserved{"table"};

// What stands for every interface that does not say otherwise. Some keys make sense for one alone.
void read_defaults(const Entry& entry, Draft& draft, Reader& reader) {
  if (!reader.is_filled(entry, Node::Kind::mapping)) return;
  reader.take_keys(entry.value, kInterfaceKeys, draft, kReserved);
  const auto refuse = [&](const Place& place, const std::string& key) {
    reader.fail(place, key + ": each interface needs one of its own");
  };
  if (draft.tun) refuse(*draft.tun_place, "tun");
  if (draft.values.ipv4_address) refuse(draft.ipv4_place, "ipv4-address");
  if (draft.values.ipv6_address) refuse(draft.ipv6_place, "ipv6-address");
  if (draft.metric_given) refuse(draft.metric_place, "metric");
  if (draft.sources.ipv4_place) return refuse(*draft.sources.ipv4_place, "ipv4-source");
  apply(draft.sources, draft.values, reader);
}

// What each link of a pattern needs for itself.
void refuse_under_pattern(const Draft& draft, Reader& reader) {
  const auto refuse = [&](const Place& place, const std::string& key) {
    reader.fail(place, key + ": each link of the pattern " + in_quotes(draft.values.name) +
                           " needs one of its own; give that link an entry with its name");
  };
  if (draft.tun) refuse(*draft.tun_place, "tun");
  if (draft.values.ipv4_address) refuse(draft.ipv4_place, "ipv4-address");
  if (draft.values.ipv6_address) refuse(draft.ipv6_place, "ipv6-address");
  if (draft.sources.ipv4_place) refuse(*draft.sources.ipv4_place, "ipv4-source");
  if (draft.metric_given) refuse(draft.metric_place, "metric");
}

Draft read_interface(const Entry& entry, std::uint32_t position, const Draft& defaults, Reader& reader) {
  if (const auto name = interface_name_or_altname(entry.key); !name) reader.fail(entry.place, name.error().what);

  Draft draft{.name = entry.place, .values = defaults.values};
  draft.values.name = entry.key;
  if (draft.values.route_metric) *draft.values.route_metric += position;
  if (!reader.is_filled(entry, Node::Kind::mapping)) return draft;
  reader.take_keys(entry.value, kInterfaceKeys, draft, kReserved);

  if (is_pattern(entry.key))
    refuse_under_pattern(draft, reader);
  else
    draft.values.tun = draft.tun.value_or(tun_name(entry.key));
  const auto& prefix = draft.values.nat64_prefix;
  const auto& ipv6 = draft.values.ipv6_address;
  if (prefix && ipv6 && prefix->contains(*ipv6)) {
    reader.fail(draft.ipv6_place, "ipv6-address: " + ipv6->text() + " lies in the interface's NAT64 prefix");
  }
  apply(draft.sources, draft.values, reader);
  if (ipv6) draft.values.ipv6_source.reset();  // of the defaults
  return draft;
}

// Two interfaces that hold the same value of something that only one can have.
template <class Value, class PlaceOf, class Refuse>
void refuse_twins(const std::vector<Draft>& drafts, Value value, PlaceOf place_of, const Refuse& refuse) {
  std::unordered_map<std::string, const Draft*> holders;
  for (const Draft& draft : drafts) {
    const std::optional<std::string> text = value(draft.values);
    if (!text) continue;
    const auto [holder, is_first] = holders.try_emplace(*text, &draft);
    if (!is_first)
      refuse(*text, *holder->second, std::invoke(place_of, *holder->second), draft, std::invoke(place_of, draft));
  }
}

std::string whose(const Draft& draft, const Place& place) {
  return in_quotes(draft.values.name) + " in line " + std::to_string(place.line);
}

void refuse_equal_addresses(const std::vector<Draft>& drafts, Reader& reader) {
  const auto text = [](const auto& address) -> std::optional<std::string> {
    return address ? std::optional(address->text()) : std::nullopt;
  };
  const auto refuse_as = [&](const std::string& key) {
    return [&reader, key](const std::string& address, const Draft& holder, const Place& there, const Draft&,
                          const Place& here) {
      reader.fail(here, key + ": " + address + " is already that of " + whose(holder, there));
    };
  };
  refuse_twins(
      drafts, [&](const Interface& values) { return text(values.ipv4_address); }, &Draft::ipv4_place,
      refuse_as("ipv4-address"));
  refuse_twins(
      drafts, [&](const Interface& values) { return text(values.ipv6_address); }, &Draft::ipv6_place,
      refuse_as("ipv6-address"));
}

// Two IPv4 default routes with one metric: the kernel takes only the first. The place shown is one that can be changed.
void refuse_equal_metrics(const std::vector<Draft>& drafts, Reader& reader) {
  const auto metric = [](const Interface& values) -> std::optional<std::string> {
    return values.route_metric && !is_pattern(values.name) ? std::optional(std::to_string(*values.route_metric))
                                                           : std::nullopt;
  };
  const auto place = [](const Draft& draft) { return draft.metric_given ? draft.metric_place : draft.name; };
  refuse_twins(drafts, metric, place,
               [&](const std::string& value, const Draft& first, const Place& first_place, const Draft& second,
                   const Place& second_place) {
                 const bool at_second = second.metric_given;
                 const Draft& other = at_second ? first : second;
                 reader.fail(at_second ? second_place : first_place,
                             "metric: " + value + " is already that of " +
                                 whose(other, at_second ? first_place : second_place) +
                                 (other.metric_given ? "" : ", which has it by its position"));
               });
}

// Names of interfaces and of tuns are one space. Two tuns get one name where only the ends of long names fit.
void refuse_equal_tuns(const std::vector<Draft>& drafts, Reader& reader) {
  const auto place = [](const Draft& draft) { return draft.tun_place.value_or(draft.name); };
  refuse_twins(
      drafts, [](const Interface& values) { return values.tun.empty() ? std::nullopt : std::optional(values.tun); },
      place,
      [&](const std::string& tun, const Draft& first, const Place& first_place, const Draft&, const Place& here) {
        reader.fail(here, "tun: " + in_quotes(tun) + " is already that of " + whose(first, first_place) +
                              "; give one of them a tun: NAME of its own");
      });
  std::unordered_map<std::string, const Draft*> owners;
  for (const Draft& draft : drafts) owners.emplace(draft.values.tun, &draft);
  for (const Draft& draft : drafts) {
    const auto owner = owners.find(draft.values.name);
    if (owner == owners.end()) continue;
    reader.fail(draft.name, "interface " + in_quotes(draft.values.name) + " is the tun of " +
                                whose(*owner->second, owner->second->name));
  }
}

void refuse_overlapping(const std::vector<Draft>& drafts, const Ipv4Pool& pool, Reader& reader) {
  std::vector<const Interface*> interfaces;
  std::vector<const SourcesDraft*> sources;
  for (const Draft& draft : drafts) {
    interfaces.push_back(&draft.values);
    sources.push_back(&draft.sources);
  }
  refuse_overlapping_ranges(interfaces, sources, pool, reader);
}

}  // namespace

std::vector<Interface> read_interfaces(const Node& mapping, const Entry* defaults, const Ipv4Pool& pool,
                                       Reader& reader) {
  Draft base{.name = {}, .values = {.route_metric = kFirstMetric}};
  if (defaults != nullptr) read_defaults(*defaults, base, reader);
  std::vector<Draft> drafts;
  drafts.reserve(mapping.entries.size());
  for (const Entry& entry : mapping.entries) {
    drafts.push_back(read_interface(entry, static_cast<std::uint32_t>(drafts.size()), base, reader));
  }
  refuse_equal_addresses(drafts, reader);
  refuse_equal_metrics(drafts, reader);
  refuse_equal_tuns(drafts, reader);
  refuse_overlapping(drafts, pool, reader);

  std::vector<Interface> interfaces;
  interfaces.reserve(drafts.size());
  for (Draft& draft : drafts) interfaces.push_back(std::move(draft.values));
  return interfaces;
}

}  // namespace clat::config
