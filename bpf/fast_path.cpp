#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <optional>
#include <ranges>
#include <utility>

#include "bpf/classifier.hpp"
#include "bpf/entries.hpp"
#include "bpf/fast_path_impl.hpp"
#include "bpf/libbpf_log.hpp"
#include "bpf/link.hpp"
#include "bpf/map_pin.hpp"
#include "bpf/purge.hpp"
#include "core/base/first_error.hpp"

namespace clat::bpf {

namespace {

Result<Program> loaded_program(const bpf_object* object, const char* name) {
  const int fd = bpf_program__fd(bpf_object__find_program_by_name(object, name));
  bpf_prog_info info{};
  std::uint32_t size = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd, &info, &size) != 0) return failure("ask about a program", errno);
  return Program{fd, info.id};
}

Ends ends_of(const Attachment& attachment) { return {attachment.uplink_ifindex, attachment.tun_ifindex}; }

Result<> check_filter(const Attachment& a) {
  if (a.uplink_ifindex <= 0 || a.tun_ifindex <= 0 || a.uplink_ifindex == a.tun_ifindex) {
    return failure("a CLAT needs the ifindexes of an uplink and of a tun");
  }
  if (a.ranges.size() > CLAT_MAX_RANGES) {
    return failure("the fast path knows at most " + std::to_string(CLAT_MAX_RANGES) + " range mappings");
  }
  return {};
}

Result<> check(const Attachment& a) {
  if (auto checked = check_filter(a); !checked) return checked;
  if (a.layer == LinkLayer::other) {
    return failure("there is no fast path for this kind of interface: it is neither Ethernet nor raw IP");
  }
  return {};
}

}  // namespace

std::string name(AttachKind kind) { return kind == AttachKind::tcx ? "tcx" : "clsact"; }

Result<bool> FastPath::Impl::open_programs() {
  auto opened = open_object();
  if (!opened) return std::unexpected(std::move(opened).error());
  object = std::move(*opened);
  for (const auto& [name, pin] :
       {std::pair{"clat_interfaces", kInterfacesPin}, std::pair{"clat_counters", kCountersPin}}) {
    const auto taken = take_pinned(bpf_object__find_map_by_name(object.get(), name), {folders.present, pin});
    if (!taken || !*taken) return taken;
  }
  return true;
}

Result<> FastPath::Impl::load() {
  // Where memory for maps and programs counts against RLIMIT_MEMLOCK (before 5.11), libbpf 1.x raises it by itself.
  auto fit = open_programs();
  // Else what is attached would go on with maps that nobody can write any more.
  if (fit && !*fit) {
    if (auto emptied = empty_folder(folders.present); !emptied) return emptied;
    fit = open_programs();
  }
  if (!fit) return std::unexpected(std::move(fit).error());
  if (const int error = bpf_object__load(object.get()); error != 0) {
    return libbpf_failure("load the BPF programs", -error);
  }
  const struct {
    Program& slot;
    const char* name;
  } slots[] = {{uplink_ethernet, "clat_uplink_in"}, {uplink_raw_ip, "clat_uplink_raw"}, {tun_egress, "clat_tun_out"},
               {tun_ingress, "clat_tun_in"},        {lan_ingress, "clat_lan_in"},       {lan_egress, "clat_lan_out"}};
  for (const auto& [slot, name] : slots) {
    auto program = loaded_program(object.get(), name);
    if (!program) return std::unexpected(std::move(program).error());
    slot = *program;
  }
  maps = Maps(bpf_object__find_map_fd_by_name(object.get(), "clat_interfaces"),
              bpf_object__find_map_fd_by_name(object.get(), "clat_counters"),
              bpf_object__find_map_fd_by_name(object.get(), "clat_subnets"),
              bpf_object__find_map_fd_by_name(object.get(), "clat_optimistic"));
  shortcuts = Shortcuts(bpf_object__find_map_fd_by_name(object.get(), "clat_shortcuts"),
                        bpf_object__find_map_fd_by_name(object.get(), "clat_shortcuts_end"));
  return pin_maps();
}

// Again, when somebody removed a pin.
Result<> FastPath::Impl::pin_maps() const {
  for (const auto& [map, pin] : map_pins()) {
    if (auto pinned = pin_map(map, pin); !pinned) return pinned;
  }
  return {};
}

Result<> FastPath::Impl::attach(const Filter& filter) {
  const auto ends = ends_of(filter.by);
  if (auto pinned = pin_maps(); !pinned) return pinned;
  if (auto made = maps.make_counters(ends.uplink); !made) return made;
  if (auto written = maps.write(ends.tun, tun_entry(filter), BPF_ANY); !written) return written;
  // Of an attachment that nobody took down, of a supervisor that was killed, say.
  if (const auto uplink = maps.entry(ends.uplink); uplink && static_cast<int>(uplink->peer_ifindex) != ends.tun) {
    if (auto left = leave_tun({ends.uplink, static_cast<int>(uplink->peer_ifindex)}); !left) return left;
  }
  if (auto attached = attach_hook(ends.uplink, filter_hook(ends)); !attached) return attached;
  // Nor does anybody take down the fast path of one that was killed on its way to the routed leg.
  if (filter.routed && !has_filter(ends)) {
    if (auto gone = detach_fast_path(ends); !gone) return gone;
  }
  return forget_other_versions();
}

Result<> FastPath::Impl::attach(const Attachment& a) {
  const auto ends = ends_of(a);
  if (!maps.has_tun(ends)) return failure("the check on what clatd writes is not attached to its tun");
  if (auto pinned = pin_maps(); !pinned) return pinned;
  if (auto made = maps.make_counters(ends.uplink); !made) return made;
  if (auto written = maps.write(ends.uplink, uplink_entry(a), BPF_ANY); !written) return written;
  for (const auto& hook : fast_hooks(ends, a.layer)) {
    if (auto attached = attach_hook(ends.uplink, hook); !attached) return attached;
  }
  return forget_other_versions();
}

Result<> FastPath::Impl::attach_hook(int uplink_ifindex, const Hook& hook) {
  const auto own = pin(uplink_ifindex, hook);
  const auto attach = [&]() -> Result<> {
    if (tcx) {
      auto attached = attach_link(hook, own, older_pins(uplink_ifindex, hook));
      if (!attached) return std::unexpected(still_there(hook, std::move(attached).error()));
      waiting.erase({hook.ifindex, hook.flow});
      // One that attached by clsact may have been here before.
      return remove_classifier(hook.ifindex, hook.flow);
    }
    const auto made = ensure_clsact(hook.ifindex);
    if (!made) return std::unexpected(made.error());
    if (*made) {
      if (auto marked = maps.mark_own_qdisc(hook.ifindex); !marked) return marked;
    }
    if (auto attached = attach_classifier(hook); !attached) return attached;
    for (const auto& older : older_pins(uplink_ifindex, hook)) {
      if (auto removed = remove_link(older); !removed) return removed;
    }
    return remove_link(own);
  };
  if (auto attached = attach(); !attached) return std::unexpected(std::move(attached).error().in(hook.name));
  return {};
}

Result<> FastPath::Impl::verify_hook(const Hook& hook) const {
  auto there = tcx ? verify_link(hook) : verify_classifier(hook);
  if (!there) return std::unexpected(std::move(there).error().in(hook.name));
  return {};
}

// EEXIST instead of EAGAIN when somebody holds on to the link for longer than the kernel needs.
Error FastPath::Impl::still_there(const Hook& hook, Error error) {
  constexpr auto kMost = std::chrono::milliseconds(500);
  if (error.code != EAGAIN) return error;
  const auto now = std::chrono::steady_clock::now();
  const auto [since, first] = waiting.try_emplace({hook.ifindex, hook.flow}, now);
  if (now - since->second < kMost) return error;
  waiting.erase(since);
  error.code = EEXIST;
  return error;
}

bool FastPath::Impl::has_filter(const Ends& ends) const {
  const auto tun = filtered.find(ends.uplink);
  return tun != filtered.end() && tun->second == ends.tun;
}

bool FastPath::Impl::holds_back(const Ends& ends) const {
  if (!is_filter_of_another(ends)) return false;
  const int tun = filtered.at(ends.uplink);
  std::array<char, IF_NAMESIZE> name{};
  return maps.has_tun({ends.uplink, tun}) && if_indextoname(static_cast<unsigned>(tun), name.data()) != nullptr;
}

// Links are pinned under the number of the uplink. When an uplink is gone its number may be given to another one, which
// may be attached before the first one is detached.
Result<> FastPath::Impl::detach_hook(const Ends& ends, const Hook& hook, bool pins_are_of_another) {
  Result<> result;
  if (!pins_are_of_another) {
    result = remove_link(pin(ends.uplink, hook));
    for (const auto& older : older_pins(ends.uplink, hook)) {
      note(result, remove_link(older));
    }
  }
  // An interface that another CLAT took over has a filter of that one.
  const auto entry = maps.entry(hook.ifindex);
  const int peer = hook.ifindex == ends.tun ? ends.uplink : ends.tun;
  if (!entry || entry->peer_ifindex == static_cast<std::uint32_t>(peer)) {
    note(result, remove_classifier(hook.ifindex, hook.flow));
  }
  if (!result) return std::unexpected(std::move(result).error().in(hook.name));
  return {};
}

Result<> FastPath::Impl::detach_filter(const Ends& ends) {
  auto first = detach_hook(ends, filter_hook(ends), is_filter_of_another(ends));
  if (has_filter(ends)) filtered.erase(ends.uplink);
  if (maps.has_tun(ends) && maps.has_own_qdisc(ends.tun)) {
    note(first, remove_empty_clsact(ends.tun));
  }
  maps.remove_tun(ends);
  note(first, forget_other_versions());
  return first;
}

// Of a CLAT that nobody took down. The links go by the uplink's number, so those of another tun take their place.
Result<> FastPath::Impl::leave_tun(const Ends& ends) {
  if (!maps.has_tun(ends)) return {};
  for (const auto flow : {Flow::ingress, Flow::egress}) {
    if (auto removed = remove_classifier(ends.tun, flow); !removed) return removed;
  }
  if (maps.has_own_qdisc(ends.tun)) {
    if (auto removed = remove_empty_clsact(ends.tun); !removed) return removed;
  }
  maps.remove_tun(ends);
  return {};
}

Result<> FastPath::Impl::detach_fast_path(const Ends& ends) {
  Result<> first;
  const auto hooks = fast_hooks(ends);
  const bool of_another = maps.entry(ends.uplink) && !maps.has_uplink(ends);
  for (const auto& hook : hooks | std::views::reverse) note(first, detach_hook(ends, hook, of_another));
  if (maps.has_uplink(ends) && maps.has_own_qdisc(ends.uplink)) {
    note(first, remove_empty_clsact(ends.uplink));
  }
  maps.remove_uplink(ends);
  note(first, forget_other_versions());
  return first;
}

// Their maps live on in whatever programs are still attached.
Result<> FastPath::Impl::forget_other_versions() {
  for (const auto& folder : folders.others) {
    if (auto removed = remove_linkless_folder(folder); !removed) return removed;
  }
  std::erase_if(folders.others, [](const auto& folder) { return !is_in_place(folder).value_or(true); });
  return {};
}

FastPath::FastPath(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FastPath::FastPath(FastPath&&) noexcept = default;
FastPath& FastPath::operator=(FastPath&&) noexcept = default;
FastPath::~FastPath() = default;

Result<FastPath> FastPath::open(const std::string& bpf_dir, bool allow_tcx) {
  capture_libbpf_log();
  clear_libbpf_log();
  auto folders = take_folders(bpf_dir, CLAT_ABI_VERSION);
  if (!folders) return std::unexpected(std::move(folders).error());
  auto impl = std::make_unique<Impl>();
  impl->folders = std::move(*folders);
  if (auto loaded = impl->load(); !loaded) {
    remove_empty_folders(impl->folders.bpf_dir, impl->folders.present);
    return std::unexpected(std::move(loaded).error());
  }
  impl->tcx = allow_tcx && has_tcx(impl->tun_ingress.fd);
  clear_libbpf_log();
  return FastPath(std::move(impl));
}

Result<> FastPath::attach(const Filter& wanted) {
  if (auto checked = check_filter(wanted.by); !checked) return checked;
  clear_libbpf_log();
  const auto ends = ends_of(wanted.by);
  if (impl_->holds_back(ends)) return failure("the CLAT that had this interface's number is still there", EAGAIN);
  auto all = impl_->attach(wanted);
  if (all) {
    impl_->filtered.insert_or_assign(ends.uplink, ends.tun);
    return {};
  }
  if (all.error().code != EAGAIN || !impl_->has_filter(ends)) (void)impl_->detach_filter(ends);
  return std::unexpected(std::move(all).error().in("attach to the tun of " + wanted.by.uplink));
}

Result<AttachKind> FastPath::attach(const Attachment& wanted) {
  if (auto checked = check(wanted); !checked) return std::unexpected(std::move(checked).error());
  clear_libbpf_log();
  const auto ends = ends_of(wanted);
  const bool stood = impl_->maps.has_uplink(ends);
  auto all = impl_->maps.set_optimistic(wanted.uplink_ifindex, wanted.optimistic);
  if (all) all = impl_->attach(wanted);
  if (all) return impl_->tcx ? AttachKind::tcx : AttachKind::clsact;
  if (all.error().code != EAGAIN || !stood) (void)impl_->detach_fast_path(ends);
  return std::unexpected(std::move(all).error().in("attach to " + wanted.uplink));
}

Result<> FastPath::update(const Filter& wanted) {
  if (auto checked = check_filter(wanted.by); !checked) return checked;
  auto written = impl_->maps.write(wanted.by.tun_ifindex, tun_entry(wanted), BPF_EXIST);
  if (!written) return std::unexpected(std::move(written).error().in("update the tun of " + wanted.by.uplink));
  return {};
}

Result<> FastPath::update(const Attachment& wanted) {
  if (auto checked = check(wanted); !checked) return checked;
  auto written = impl_->maps.write(wanted.uplink_ifindex, uplink_entry(wanted), BPF_EXIST);
  if (written) written = impl_->maps.set_optimistic(wanted.uplink_ifindex, wanted.optimistic);
  if (!written) return std::unexpected(std::move(written).error().in("update " + wanted.uplink));
  return {};
}

Result<> FastPath::set_optimistic(const Attachment& wanted) {
  return in_context(impl_->maps.set_optimistic(wanted.uplink_ifindex, wanted.optimistic), "update " + wanted.uplink);
}

Result<> FastPath::know_subnets(std::span<const Ipv4Prefix> subnets) { return impl_->maps.know_subnets(subnets); }

Result<> FastPath::detach(const Filter& attached) {
  clear_libbpf_log();
  auto gone = impl_->detach_filter(ends_of(attached.by));
  if (!gone) return std::unexpected(std::move(gone).error().in("detach from the tun of " + attached.by.uplink));
  return {};
}

Result<> FastPath::detach(const Attachment& attached) {
  clear_libbpf_log();
  auto gone = impl_->detach_fast_path(ends_of(attached));
  if (!gone) return std::unexpected(std::move(gone).error().in("detach from " + attached.uplink));
  return {};
}

Result<> FastPath::forget(int uplink_ifindex) {
  clear_libbpf_log();
  // This process attached there by now: nothing of an earlier one is left.
  if (impl_->filtered.contains(uplink_ifindex)) return {};
  const Ends ends{uplink_ifindex, impl_->maps.tun_of(uplink_ifindex)};
  auto gone = impl_->detach_fast_path(ends);
  note(gone, impl_->detach_filter(ends));
  if (!gone) return std::unexpected(std::move(gone).error().in("detach from " + std::to_string(uplink_ifindex)));
  return {};
}

Result<> FastPath::verify_pins() {
  const auto& folder = impl_->folders.present;
  const auto in_place = is_in_place(folder);
  if (!in_place) return std::unexpected(in_place.error());
  if (!*in_place) return failure(folder.path + " is gone");
  for (const auto& [map, pin] : impl_->map_pins()) {
    if (auto pinned = verify_map_pin(map, pin); !pinned) return pinned;
  }
  return {};
}

Result<> FastPath::verify(const Filter& attached) {
  const auto ends = ends_of(attached.by);
  if (auto there = impl_->verify_hook(impl_->filter_hook(ends)); !there) return there;
  if (auto held = impl_->maps.verify(ends.tun, tun_entry(attached)); !held) return held;
  const auto counters = impl_->maps.counters_of(ends.uplink);
  return counters ? Result<>() : std::unexpected(counters.error());
}

Result<> FastPath::verify(const Attachment& attached) {
  const auto ends = ends_of(attached);
  for (const auto& hook : impl_->fast_hooks(ends, attached.layer)) {
    if (auto there = impl_->verify_hook(hook); !there) return there;
  }
  return impl_->maps.verify(ends.uplink, uplink_entry(attached));
}

Result<Counters> FastPath::counters(const Attachment& attached) {
  auto values = impl_->maps.counters_of(attached.uplink_ifindex);
  if (!values) return std::unexpected(std::move(values).error().in(attached.uplink));
  return named_counters(*values);
}

}  // namespace clat::bpf
