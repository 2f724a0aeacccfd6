#include "fake_edge.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>

namespace clat::plan::test {

namespace {

std::size_t index(Part part) { return static_cast<std::size_t>(part); }

}  // namespace

int FakeEdge::pid(const std::string& uplink) const {
  const auto found = pids_.find(uplink);
  return found == pids_.end() ? 0 : found->second;
}

const Spec* FakeEdge::spec(const std::string& uplink, Part part) const {
  const auto found = made_.find(uplink);
  return found == made_.end() || !found->second[index(part)] ? nullptr : &*found->second[index(part)];
}

bool FakeEdge::has(const std::string& uplink, Part part) const {
  const auto found = made_.find(uplink);
  return found != made_.end() && found->second[index(part)].has_value();
}

bool FakeEdge::is_empty() const {
  for (const auto& [uplink, parts] : made_) {
    for (const auto& part : parts) {
      if (part) return false;
    }
  }
  return std::ranges::all_of(guards_, [](const auto& each) { return each.second.empty(); }) &&
         std::ranges::all_of(pinned_, [](const auto& each) { return each.second.empty(); });
}

std::vector<std::string> FakeEdge::log_of(const std::string& uplink) const {
  std::vector<std::string> log;
  for (const auto& each : executed) {
    if (each.uplink == uplink) log.push_back(std::string(name(each.verb)) + " " + std::string(name(each.part)));
  }
  return log;
}

std::optional<Event> FakeEdge::execute(const Action& action) {
  if (const auto* purge = std::get_if<Purge>(&action)) {
    purged.push_back(*purge);
    return Purged{purge->record.uplink, purge_fails ? failure("purge", ENOBUFS) : Result<>{}};
  }
  if (const auto* health = std::get_if<CollectHealth>(&action)) {
    if (health->overdue) return HealthCollected{};
    ++health_requests;
    return HealthCollected{};
  }
  if (const auto* audit = std::get_if<Audit>(&action)) return act(*audit);
  if (const auto* look_up = std::get_if<LookUpRoute>(&action)) {
    questions.push_back(look_up->way);
    if (meanwhile) meanwhile();
    const auto& dead = look_up->way.dead;
    const bool goes_round = route && route->next_hop && std::ranges::find(dead, *route->next_hop) != dead.end();
    return LookedUp{look_up->uplink, goes_round ? way_round.value_or(*route) : route, native_ipv4};
  }
  if (const auto* know = std::get_if<KnowSubnets>(&action)) {
    subnets = know->subnets;
    knows_subnets_ = true;
    return std::nullopt;
  }
  if (const auto* serve = std::get_if<ServeShortcut>(&action)) {
    if (shortcut_error) return ShortcutServed{serve->spec, std::unexpected(*shortcut_error)};
    shortcut = serve->spec;
    return ShortcutServed{serve->spec, {}};
  }
  if (const auto* question = std::get_if<Nat64Question>(&action)) {
    asked_dns.push_back(*question);
    return std::nullopt;
  }
  if (const auto* solicit = std::get_if<Solicit>(&action)) {
    EXPECT_TRUE(has(solicit->uplink, Part::listen)) << "a solicitation whose answer nobody hears";
    solicited.push_back(solicit->uplink);
    return Sent{solicit->uplink, {}};
  }
  if (const auto* advertise = std::get_if<Advertise>(&action)) {
    EXPECT_TRUE(has(advertise->uplink, Part::announce)) << "advertised, and nobody answers";
    const auto* fast = spec(advertise->uplink, Part::fast_path);
    EXPECT_TRUE(fast == nullptr || std::get<FastPathSpec>(*fast).mac == advertise->claim.mac) << "answered otherwise";
    advertised.push_back(advertise->claim);
    return Sent{advertise->uplink, {}};
  }
  if (const auto* ask = std::get_if<AskRouters>(&action)) {
    asked_routers.push_back(ask->routers);
    return Sent{ask->uplink, {}};
  }
  if (const auto* probe = std::get_if<Probe>(&action)) {
    const auto* listen = spec(probe->uplink, Part::listen);
    EXPECT_TRUE(listen != nullptr && std::get<ListenSpec>(*listen).v6 == probe->probe.target) << "nobody hears";
    EXPECT_TRUE(has(probe->uplink, Part::announce)) << "probed for before it is used";
    probed.push_back(probe->probe);
    return Sent{probe->uplink, {}};
  }
  if (const auto* ping = std::get_if<Ping>(&action)) {
    EXPECT_TRUE(has(ping->uplink, Part::announce) && has(ping->uplink, Part::setup)) << "pinged where nothing leads";
    pings.push_back(*ping);
    if (pings_end) end_ping(*ping);
    return std::nullopt;
  }
  if (const auto* run = std::get_if<RunHook>(&action)) return act(*run);
  if (const auto* signal = std::get_if<SignalHook>(&action)) {
    EXPECT_EQ(hook_pids.at(signal->uplink), signal->pid);
    hook_signals.push_back(signal->signal);
    return Sent{signal->uplink, {}};
  }
  const auto& part = std::get<PartAction>(action);
  EXPECT_EQ(part.reason.has_value(), part.verb == Verb::remove);
  executed.push_back({part.uplink, part.verb, part_of(part.spec)});
  check_order(part);
  EXPECT_TRUE(part_of(part.spec) != Part::filter || knows_subnets_) << "by which it lets packets in";
  Result<Made> result;
  switch (part.verb) {
    case Verb::make: result = make(part); break;
    case Verb::change: result = change(part); break;
    case Verb::remove: result = remove(part); break;
    case Verb::kill:
      pending.push_back(ChildExited{part.uplink, pids_[part.uplink], 0, SIGKILL});
      made_[part.uplink][index(Part::child)].reset();
      break;
    case Verb::verify:
      if (!has(part.uplink, part_of(part.spec))) result = failure("it is gone");
      break;
  }
  if (result && part_of(part.spec) == Part::announce) result->firewall = firewall;
  return Done{part.uplink, part.verb, part_of(part.spec), result};
}

HookStarted FakeEdge::act(const RunHook& run) {
  EXPECT_FALSE(hook_pids.contains(run.uplink)) << "two hooks of one uplink at a time";
  EXPECT_FALSE(run.call.argv.empty());
  hooks.push_back(run.call);
  if (no_hook) return {run.uplink, no_hook->pid, no_hook->refused};
  hook_pids[run.uplink] = next_pid_;
  if (hooks_end) end_hook(run.uplink, hook_status);
  return {run.uplink, next_pid_++};
}

void FakeEdge::end_ping(const Ping& ping) {
  pending.push_back(PingEnded{ping.uplink, ping.echo.nonce, no_answer ? std::unexpected(*no_answer) : Result<>{}});
}

void FakeEdge::end_hook(const std::string& uplink, int status, int signal) {
  pending.push_back(HookExited{uplink, hook_pids.at(uplink), status, signal});
  hook_pids.erase(uplink);
}

Audited FakeEdge::act(const Audit& audit) {
  for (const auto& [uplink, pid] : pids_) answer(uplink);
  Audited audited;
  for (const auto& check : audit.checks) {
    if (part_of(check.spec) == Part::announce) audited.firewalls[check.uplink] = firewall;
    if (!has(check.uplink, part_of(check.spec))) audited.missing.push_back({check, Error{"it is gone", 0}});
  }
  return audited;
}

// The rules of the data path, told independently of the planner's own table.
void FakeEdge::check_order(const PartAction& action) const {
  const auto& uplink = action.uplink;
  const Part part = part_of(action.spec);
  if (action.verb == Verb::make) {
    EXPECT_TRUE(part == Part::record || part == Part::listen || has(uplink, Part::record))
        << "made before its record: " << name(part);
    EXPECT_TRUE(part != Part::setup || has(uplink, Part::tun));
    if (part == Part::filter || part == Part::child || part == Part::route || part == Part::fast_path) {
      EXPECT_TRUE(has(uplink, Part::setup)) << name(part);
    }
    EXPECT_TRUE(part != Part::child || is_confined(uplink)) << "a clatd without its filter";
    if (part == Part::announce && std::get<AnnounceSpec>(action.spec).leg == Leg::fast) {
      EXPECT_TRUE(stolen_.contains(uplink) || has(uplink, Part::fast_path)) << "announced before it was attached";
      EXPECT_TRUE(has(uplink, Part::guard)) << "announced without its blackhole";
    }
    EXPECT_TRUE(part != Part::route || has(uplink, Part::announce)) << "a default route that leads nowhere";
    // An old address may keep its blackhole beside the new one's; setup and route are made again when flushed.
    if (const auto* guard = std::get_if<GuardSpec>(&action.spec)) {
      EXPECT_FALSE(guards_.contains(uplink) && guards_.at(uplink).contains(guard->v6)) << "made twice: guard";
    } else if (part != Part::setup && part != Part::route) {
      EXPECT_FALSE(has(uplink, part)) << "made twice: " << name(part);
    }
  }
  if (action.verb == Verb::remove) {
    if (part == Part::fast_path || part == Part::guard) {
      const auto* announce = spec(uplink, Part::announce);
      const auto* guard = std::get_if<GuardSpec>(&action.spec);
      const bool other = guard != nullptr && announce != nullptr && std::get<AnnounceSpec>(*announce).v6 != guard->v6;
      const bool fast = announce != nullptr && std::get<AnnounceSpec>(*announce).leg == Leg::fast;
      if (!other && fast) ADD_FAILURE() << "detached before it was withdrawn: " << name(part);
    }
    if (part == Part::filter) {
      for (const Part other : {Part::fast_path, Part::child}) {
        EXPECT_FALSE(has(uplink, other)) << "filter removed under " << name(other);
      }
    }
    if (part == Part::tun) {
      for (const Part other : {Part::setup, Part::filter, Part::fast_path, Part::child, Part::route}) {
        EXPECT_FALSE(has(uplink, other)) << "tun removed under " << name(other);
      }
    }
    if (part == Part::record) {
      for (std::size_t i = 1; i < index(Part::listen); ++i) EXPECT_FALSE(has(uplink, static_cast<Part>(i)));
    }
  }
}

bool FakeEdge::lacks_forwarding(const Spec& spec) const {
  const auto* announce = std::get_if<AnnounceSpec>(&spec);
  return !forwarding && announce != nullptr && announce->leg == Leg::routed;
}

bool FakeEdge::is_confined(const std::string& uplink) const { return has(uplink, Part::filter); }

bool FakeEdge::lacks_bpf(const Spec& spec) const {
  const auto* filter = std::get_if<FilterSpec>(&spec);
  return no_bpf && ((filter != nullptr && filter->means == FilterMeans::bpf) || part_of(spec) == Part::fast_path);
}

// Leaves nothing attached of this part; other means of confining stay.
Result<Made> FakeEdge::without_bpf(const PartAction& action) {
  auto& slot = made_[action.uplink][index(part_of(action.spec))];
  if (slot && lacks_bpf(*slot)) slot.reset();
  if (const auto* fast = std::get_if<FastPathSpec>(&action.spec)) pinned_[action.uplink].erase(fast->uplink_ifindex);
  return std::unexpected(*no_bpf);
}

Result<Made> FakeEdge::make(const PartAction& action) {
  if (lacks_forwarding(action.spec)) return failure("IPv6 forwarding is off", EPERM);
  const Part part = part_of(action.spec);
  if (lacks_bpf(action.spec)) return without_bpf(action);
  if (part == Part::fast_path) {
    const auto* filter = spec(action.uplink, Part::filter);
    if (filter == nullptr || std::get<FilterSpec>(*filter).means != FilterMeans::bpf) return failure("no filter");
  }
  const auto failing_now = failing.find({action.uplink, part});
  if (failing_now != failing.end()) {
    if (part == Part::fast_path) pinned_[action.uplink].erase(std::get<FastPathSpec>(action.spec).uplink_ifindex);
    return std::unexpected(failing_now->second);
  }
  made_[action.uplink][index(part)] = action.spec;
  Made result;
  if (part == Part::guard) guards_[action.uplink].insert(std::get<GuardSpec>(action.spec).v6);
  if (part == Part::fast_path) {
    result.detail = "tcx";
    stolen_.erase(action.uplink);
    auto& pinned = pinned_[action.uplink];
    pinned.insert(std::get<FastPathSpec>(action.spec).uplink_ifindex);
    EXPECT_EQ(pinned.size(), 1U) << "pins of an earlier link stay behind";
  }
  if (part == Part::tun) {
    result.ifindex = next_ifindex_++;
    tuns_[result.ifindex] = action.uplink;
    Link link{result.ifindex, std::get<TunSpec>(action.spec).name, false, false, 1500, LinkLayer::raw_ip, {}};
    pending.push_back(LinkSeen{link});
    link.up = link.carrier = true;
    pending.push_back(LinkSeen{link});
  }
  if (part == Part::child) {
    result.pid = pids_[action.uplink] = next_pid_++;
    if (children_get_ready) pending.push_back(ChildReady{action.uplink, result.pid, 0});
  }
  return result;
}

Result<Made> FakeEdge::change(const PartAction& action) {
  const bool stolen = part_of(action.spec) == Part::fast_path && stolen_.contains(action.uplink);
  EXPECT_TRUE(stolen || has(action.uplink, part_of(action.spec))) << "changed though absent";
  EXPECT_TRUE(action.before.has_value());
  if (lacks_forwarding(action.spec)) return failure("IPv6 forwarding is off", EPERM);
  if (lacks_bpf(action.spec)) return without_bpf(action);
  if (change_fails.contains(part_of(action.spec))) {
    if (part_of(action.spec) != Part::child) made_[action.uplink][index(part_of(action.spec))].reset();
    return failure("change", ENOENT);
  }
  if (part_of(action.spec) == Part::child) answer(action.uplink);
  if (stolen) return Made{};  // its map entries are replaced; the audit finds the rest
  made_[action.uplink][index(part_of(action.spec))] = action.spec;
  return Made{};
}

Result<Made> FakeEdge::remove(const PartAction& action) {
  const Part part = part_of(action.spec);
  auto& slot = made_[action.uplink][index(part)];
  if (auto& times = remove_fails[part]; times > 0) {
    --times;
    return failure("remove", ENOBUFS);
  }
  if (part == Part::child) {
    if (obedient_children) {
      pending.push_back(ChildExited{action.uplink, pids_[action.uplink], 0, SIGTERM});
      slot.reset();
    }
    return Made{};
  }
  if (part == Part::guard) {
    guards_[action.uplink].erase(std::get<GuardSpec>(action.spec).v6);
    if (slot == action.spec) slot.reset();
    return Made{};
  }
  if (part == Part::fast_path) {
    stolen_.erase(action.uplink);
    pinned_[action.uplink].erase(std::get<FastPathSpec>(action.spec).uplink_ifindex);
  }
  slot.reset();
  return Made{};
}

void FakeEdge::answer(const std::string& uplink) {
  if (children_answer && has(uplink, Part::child)) pending.push_back(ChildAnswered{uplink, pid(uplink)});
}

void FakeEdge::steal_fast_path(const std::string& uplink) {
  if (!has(uplink, Part::fast_path)) return;
  made_[uplink][index(Part::fast_path)].reset();
  stolen_.insert(uplink);
}

void FakeEdge::steal(const std::string& uplink, Part part) {
  if (const auto* guard = spec(uplink, part); guard != nullptr && part == Part::guard) {
    guards_[uplink].erase(std::get<GuardSpec>(*guard).v6);
  }
  made_[uplink][index(part)].reset();
}

void FakeEdge::forget_child(const std::string& uplink) { made_[uplink][index(Part::child)].reset(); }

void FakeEdge::lose_tun(int ifindex) {
  const auto tun = tuns_.find(ifindex);
  if (tun != tuns_.end()) made_[tun->second][index(Part::tun)].reset();
}

Bench::Bench(std::uint64_t seed)
    : app(
          edge, [this] { return now; },
          [this](const Notice& notice) { std::ranges::move(log::words(notice), std::back_inserter(notes)); }, seed) {
  app.handle(KernelDumped{});
}

void Bench::load(const config::Config& config) {
  handle(ConfigLoaded{std::make_shared<const config::Config>(config), "test.yaml"});
}

void Bench::link(const std::string& name, int ifindex, bool up, bool carrier, std::uint32_t mtu) {
  handle(LinkSeen{Link{ifindex, name, up, carrier, mtu, LinkLayer::ethernet, {{2, 0, 0, 0, 0, 1}}}});
}

void Bench::unlink(int ifindex) {
  edge.lose_tun(ifindex);
  handle(LinkGone{ifindex});
}

void Bench::address(int ifindex, const std::string& v6, bool usable) {
  handle(Ipv6Seen{ifindex, {*Ipv6Address::parse(v6), 64, usable, false, false}});
}

void Bench::no_address(int ifindex, const std::string& v6) { handle(Ipv6Gone{ifindex, *Ipv6Address::parse(v6)}); }

void Bench::kill_child(const std::string& uplink, int signal) {
  const int pid = edge.pid(uplink);
  edge.forget_child(uplink);
  handle(ChildExited{uplink, pid, 0, signal});
}

void Bench::handle(Event event) {
  app.handle(std::move(event));
  settle();
}

void Bench::settle() {
  while (!edge.pending.empty()) {
    auto answers = std::exchange(edge.pending, {});
    for (auto& answer : answers) app.handle(std::move(answer));
  }
}

void Bench::advance(std::chrono::milliseconds time) {
  const auto end = now + time;
  while (app.wake_at() && *app.wake_at() <= end) {
    now = std::max(now, *app.wake_at());
    handle(Tick{});
    ASSERT_TRUE(!app.wake_at() || *app.wake_at() > now) << "the timer would spin";
  }
  now = end;
}

std::vector<std::string> Bench::events_of(const std::string& uplink) const {
  std::vector<std::string> names;
  for (const auto& note : notes) {
    if (note.iface == uplink && note.severity != Severity::debug && note.event != "health") {
      names.emplace_back(note.event);
    }
  }
  return names;
}

const Note* Bench::last(std::string_view event, const std::string& iface) const {
  const Note* found = nullptr;
  for (const auto& note : notes) {
    if (note.event == event && (iface.empty() || note.iface == iface)) found = &note;
  }
  return found;
}

config::Config config_of(std::size_t uplinks) {
  config::Config config;
  config.clatd.path = "/clatd";
  config.clatd.restart.jitter = 0;
  for (std::size_t i = 0; i < uplinks; ++i) {
    const auto name = "up" + std::to_string(i);
    config.interfaces.push_back({.name = name,
                                 .tun = config::tun_name(name),
                                 .nat64_prefix = *Nat64Prefix::parse("2001:db8:64:" + std::to_string(i) + "::/96"),
                                 .ipv4_address = {},
                                 .ipv6_address = {},
                                 .mtu = {},
                                 .route_metric = 2048 + static_cast<std::uint32_t>(i),
                                 .lowest_ipv6_mtu = {}});
  }
  return config;
}

std::string field(const Note& note, std::string_view key) {
  for (const auto& [name, value] : note.fields) {
    if (name == key) return render::plain_text(value);
  }
  return "";
}

}  // namespace clat::plan::test
