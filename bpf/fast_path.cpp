#include "bpf/fast_path.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <ranges>
#include <utility>

#include "bpf/classifier.hpp"
#include "bpf/clat_abi.h"
#include "bpf/entries.hpp"
#include "bpf/hook.hpp"
#include "bpf/libbpf_log.hpp"
#include "bpf/link.hpp"
#include "bpf/map_pin.hpp"
#include "bpf/object.hpp"
#include "bpf/pins.hpp"
#include "bpf/purge.hpp"

namespace clat::bpf {

namespace {

struct Program {
  int fd = -1;
  std::uint32_t id = 0;
};

Result<Program> loaded_program(const bpf_object* object, const char* name) {
  const int fd = bpf_program__fd(bpf_object__find_program_by_name(object, name));
  bpf_prog_info info{};
  std::uint32_t size = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd, &info, &size) != 0) return failure("ask about a program", errno);
  return Program{fd, info.id};
}

bool is_same(const clat_interface& left, const clat_interface& right) {
  return std::memcmp(&left, &right, sizeof(left)) == 0;
}
// The loader's own.
clat_interface without_flag(clat_interface value) {
  value.flags &= static_cast<std::uint16_t>(~CLAT_FLAG_OWN_QDISC);
  return value;
}

// Until all programs that run now have ended: this is the kernel's synchronize_rcu(). Where the kernel has none of it
// (nohz_full), or a sandbox refuses, the next write may disturb a packet, as it does without.
void wait_for_programs() { syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0); }

// All that taking away needs to know.
struct Ends {
  int uplink = 0;  // ifindexes
  int tun = 0;
};
Ends ends_of(const Attachment& attachment) { return {attachment.uplink_ifindex, attachment.tun_ifindex}; }

Result<> check(const Attachment& a) {
  if (a.uplink_ifindex <= 0 || a.tun_ifindex <= 0 || a.uplink_ifindex == a.tun_ifindex) {
    return failure("the fast path needs the ifindexes of an uplink and of a tun");
  }
  if (a.ranges.size() > CLAT_MAX_RANGES) {
    return failure("the fast path knows at most " + std::to_string(CLAT_MAX_RANGES) + " range mappings");
  }
  if (a.layer == LinkLayer::other) {
    return failure("there is no fast path for this kind of interface: it is neither Ethernet nor raw IP");
  }
  return {};
}

}  // namespace

std::string name(AttachKind kind) { return kind == AttachKind::tcx ? "tcx" : "clsact"; }

struct FastPath::Impl {
  OwnFolders folders;
  Object object;
  Program uplink_ethernet, uplink_raw_ip, tun_egress, tun_ingress;
  int interfaces = -1;  // map fds, owned by `object`
  int counters = -1;
  bool tcx = false;
  bool outdated = false;  // some program may still be at work on an entry that was replaced or removed

  // With the maps that are pinned. False where those do not fit.
  Result<bool> open_programs();
  Result<> load();
  [[nodiscard]] std::array<std::pair<int, Pin>, 2> map_pins() const {
    return {std::pair{interfaces, Pin{folders.present, kInterfacesPin}},
            std::pair{counters, Pin{folders.present, kCountersPin}}};
  }
  Result<> pin_maps() const;

  // In the order of attaching: the check on what clatd writes comes before anything can reach clatd.
  [[nodiscard]] std::array<Hook, 3> hooks(const Ends& ends, LinkLayer layer = LinkLayer::ethernet) const {
    const auto& uplink = layer == LinkLayer::raw_ip ? uplink_raw_ip : uplink_ethernet;
    return {Hook{"tun-ingress", ends.tun, Flow::ingress, tun_ingress.fd, tun_ingress.id},
            Hook{"tun-egress", ends.tun, Flow::egress, tun_egress.fd, tun_egress.id},
            Hook{"uplink-ingress", ends.uplink, Flow::ingress, uplink.fd, uplink.id}};
  }
  [[nodiscard]] Pin pin(int uplink_ifindex, const Hook& hook) const {
    return link_pin(folders.present, uplink_ifindex, hook.name);
  }
  [[nodiscard]] std::vector<Pin> older_pins(int uplink_ifindex, const Hook& hook) const {
    std::vector<Pin> pins;
    for (const auto& folder : folders.others) pins.push_back(link_pin(folder, uplink_ifindex, hook.name));
    return pins;
  }

  [[nodiscard]] std::optional<clat_interface> entry(int ifindex) const;
  Result<> verify_entry(int ifindex, const clat_interface& wanted) const;
  [[nodiscard]] int tun_of(int uplink_ifindex) const;
  Result<> write_entry(int ifindex, clat_interface value, std::uint64_t flags);
  Result<> write_entries(const Attachment& a, std::uint64_t flags);
  Result<> make_counters(int uplink_ifindex) const;
  [[nodiscard]] Result<std::vector<clat_counters>> counters_of(int uplink_ifindex) const;
  void remove_entries(const Ends& ends);
  void remove_tun_entry(const Ends& ends);

  Result<> attach_hook(const Attachment& a, const Hook& hook);
  Result<> detach_hook(int uplink_ifindex, const Hook& hook);
  Result<> detach(const Ends& ends);
  Result<> forget_other_versions();
};

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
  } slots[] = {{uplink_ethernet, "clat_uplink_in"},
               {uplink_raw_ip, "clat_uplink_raw"},
               {tun_egress, "clat_tun_out"},
               {tun_ingress, "clat_tun_in"}};
  for (const auto& [slot, name] : slots) {
    auto program = loaded_program(object.get(), name);
    if (!program) return std::unexpected(std::move(program).error());
    slot = *program;
  }
  interfaces = bpf_object__find_map_fd_by_name(object.get(), "clat_interfaces");
  counters = bpf_object__find_map_fd_by_name(object.get(), "clat_counters");
  return pin_maps();
}

// Again, when somebody removed a pin.
Result<> FastPath::Impl::pin_maps() const {
  for (const auto& [map, pin] : map_pins()) {
    if (auto pinned = pin_map(map, pin); !pinned) return pinned;
  }
  return {};
}

std::optional<clat_interface> FastPath::Impl::entry(int ifindex) const {
  clat_interface value{};
  const auto key = static_cast<std::uint32_t>(ifindex);
  if (bpf_map_lookup_elem(interfaces, &key, &value) != 0) return std::nullopt;
  return value;
}

Result<> FastPath::Impl::verify_entry(int ifindex, const clat_interface& wanted) const {
  clat_interface value{};
  const auto key = static_cast<std::uint32_t>(ifindex);
  const auto name = "the map entry of interface " + std::to_string(ifindex);
  if (bpf_map_lookup_elem(interfaces, &key, &value) != 0) return failure("read " + name, errno);
  if (!is_same(without_flag(value), wanted)) return failure(name + " was changed");
  return {};
}

// Ifindex; 0 when no entry tells.
int FastPath::Impl::tun_of(int uplink_ifindex) const {
  if (const auto uplink = entry(uplink_ifindex)) return static_cast<int>(uplink->peer_ifindex);
  std::uint32_t key = 0;
  const void* last = nullptr;
  // At most so many, whatever is changed under way.
  for (int i = 0; i < 2 * CLAT_MAX_UPLINKS && bpf_map_get_next_key(interfaces, last, &key) == 0; ++i, last = &key) {
    const auto ifindex = static_cast<int>(key);
    const auto tun = entry(ifindex);
    if (tun && tun->uplink_ifindex == static_cast<std::uint32_t>(uplink_ifindex)) return ifindex;
  }
  return 0;
}

// From 6.1 on the kernel gives the memory of an entry that went to the next one that comes, whoever still reads it: a
// program could see parts of both, or find none at all.
Result<> FastPath::Impl::write_entry(int ifindex, clat_interface value, std::uint64_t flags) {
  const auto key = static_cast<std::uint32_t>(ifindex);
  const auto before = entry(ifindex);
  if (before) value.flags |= before->flags & CLAT_FLAG_OWN_QDISC;
  if (before && is_same(*before, value)) return {};
  if (std::exchange(outdated, false)) wait_for_programs();
  if (bpf_map_update_elem(interfaces, &key, &value, flags) != 0) {
    return failure("write the map entry of interface " + std::to_string(ifindex), errno);
  }
  outdated = before.has_value();
  return {};
}

Result<> FastPath::Impl::write_entries(const Attachment& a, std::uint64_t flags) {
  if (auto written = write_entry(a.tun_ifindex, tun_entry(a), flags); !written) return written;
  return write_entry(a.uplink_ifindex, uplink_entry(a), flags);
}

Result<> FastPath::Impl::make_counters(int uplink_ifindex) const {
  const auto key = static_cast<std::uint32_t>(uplink_ifindex);
  const int cpus = libbpf_num_possible_cpus();
  if (cpus < 0) return libbpf_failure("count the CPUs", -cpus);
  const std::vector<clat_counters> zero(static_cast<std::size_t>(cpus));
  if (bpf_map_update_elem(counters, &key, zero.data(), BPF_NOEXIST) != 0 && errno != EEXIST) {
    return failure("make the counters", errno);
  }
  return {};
}

// Of each CPU.
Result<std::vector<clat_counters>> FastPath::Impl::counters_of(int uplink_ifindex) const {
  const int cpus = libbpf_num_possible_cpus();
  if (cpus < 0) return libbpf_failure("count the CPUs", -cpus);
  std::vector<clat_counters> values(static_cast<std::size_t>(cpus));
  const auto key = static_cast<std::uint32_t>(uplink_ifindex);
  if (bpf_map_lookup_elem(counters, &key, values.data()) != 0) return failure("read the counters", errno);
  return values;
}

// Not those that another uplink or tun took over.
void FastPath::Impl::remove_entries(const Ends& ends) {
  const auto uplink = static_cast<std::uint32_t>(ends.uplink);
  const auto of_uplink = entry(ends.uplink);
  if (!of_uplink || of_uplink->peer_ifindex == static_cast<std::uint32_t>(ends.tun)) {
    bpf_map_delete_elem(interfaces, &uplink);
    bpf_map_delete_elem(counters, &uplink);
    outdated = true;
  }
  remove_tun_entry(ends);
}

void FastPath::Impl::remove_tun_entry(const Ends& ends) {
  const auto tun = static_cast<std::uint32_t>(ends.tun);
  const auto of_tun = entry(ends.tun);
  if (!of_tun || of_tun->peer_ifindex != static_cast<std::uint32_t>(ends.uplink)) return;
  bpf_map_delete_elem(interfaces, &tun);
  outdated = true;
}

Result<> FastPath::Impl::attach_hook(const Attachment& a, const Hook& hook) {
  if (tcx) {
    if (auto attached = attach_link(hook, pin(a.uplink_ifindex, hook), older_pins(a.uplink_ifindex, hook)); !attached)
      return attached;
    // One that attached by clsact may have been here before.
    return remove_classifier(hook.ifindex, hook.flow);
  }
  const auto made = ensure_clsact(hook.ifindex);
  if (!made) return std::unexpected(made.error());
  if (*made) {
    auto value = hook.ifindex == a.tun_ifindex ? tun_entry(a) : uplink_entry(a);
    value.flags |= CLAT_FLAG_OWN_QDISC;
    if (auto written = write_entry(hook.ifindex, value, BPF_EXIST); !written) return written;
  }
  if (auto attached = attach_classifier(hook); !attached) return attached;
  for (const auto& older : older_pins(a.uplink_ifindex, hook)) {
    if (auto removed = remove_link(older); !removed) return removed;
  }
  return remove_link(pin(a.uplink_ifindex, hook));
}

Result<> FastPath::Impl::detach_hook(int uplink_ifindex, const Hook& hook) {
  auto result = remove_link(pin(uplink_ifindex, hook));
  for (const auto& older : older_pins(uplink_ifindex, hook)) {
    if (auto removed = remove_link(older); !removed && result) result = std::move(removed);
  }
  if (auto removed = remove_classifier(hook.ifindex, hook.flow); !removed && result) result = std::move(removed);
  return result;
}

Result<> FastPath::Impl::detach(const Ends& ends) {
  Result<> first;
  const auto keep = [&](Result<> result, const std::string& what) {
    if (!result && first) first = std::unexpected(std::move(result).error().in(what));
  };
  const auto all = hooks(ends);
  for (const auto& hook : all | std::views::reverse) keep(detach_hook(ends.uplink, hook), hook.name);
  for (const int ifindex : {ends.uplink, ends.tun}) {
    if (const auto value = entry(ifindex); value && (value->flags & CLAT_FLAG_OWN_QDISC) != 0) {
      keep(remove_empty_clsact(ifindex), "clsact");
    }
  }
  remove_entries(ends);
  keep(forget_other_versions(), "another version's pins");
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

Result<AttachKind> FastPath::attach(const Attachment& wanted) {
  if (auto checked = check(wanted); !checked) return std::unexpected(std::move(checked).error());
  clear_libbpf_log();
  const auto all = [&]() -> Result<> {
    if (auto pinned = impl_->pin_maps(); !pinned) return pinned;
    if (auto made = impl_->make_counters(wanted.uplink_ifindex); !made) return made;
    const auto before = impl_->entry(wanted.uplink_ifindex);
    if (auto written = impl_->write_entries(wanted, BPF_ANY); !written) return written;
    // Of an attachment that nobody took down, of a supervisor that was killed, say.
    if (before && before->peer_ifindex != static_cast<std::uint32_t>(wanted.tun_ifindex)) {
      impl_->remove_tun_entry({wanted.uplink_ifindex, static_cast<int>(before->peer_ifindex)});
    }
    for (const auto& hook : impl_->hooks(ends_of(wanted), wanted.layer)) {
      if (auto attached = impl_->attach_hook(wanted, hook); !attached) {
        return std::unexpected(std::move(attached).error().in(hook.name));
      }
    }
    return impl_->forget_other_versions();
  }();
  if (!all) {
    (void)impl_->detach(ends_of(wanted));
    return std::unexpected(all.error().in("attach to " + wanted.uplink));
  }
  return impl_->tcx ? AttachKind::tcx : AttachKind::clsact;
}

Result<> FastPath::update(const Attachment& wanted) {
  if (auto checked = check(wanted); !checked) return checked;
  auto written = impl_->write_entries(wanted, BPF_EXIST);
  if (!written) return std::unexpected(std::move(written).error().in("update " + wanted.uplink));
  return {};
}

Result<> FastPath::detach(const Attachment& attached) {
  clear_libbpf_log();
  auto gone = impl_->detach(ends_of(attached));
  if (!gone) return std::unexpected(std::move(gone).error().in("detach from " + attached.uplink));
  return {};
}

Result<> FastPath::forget(int uplink_ifindex) {
  clear_libbpf_log();
  auto gone = impl_->detach({uplink_ifindex, impl_->tun_of(uplink_ifindex)});
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

Result<> FastPath::verify(const Attachment& attached) {
  for (const auto& hook : impl_->hooks(ends_of(attached), attached.layer)) {
    auto there = impl_->tcx ? verify_link(hook) : verify_classifier(hook);
    if (!there) return std::unexpected(std::move(there).error().in(hook.name));
  }
  if (auto held = impl_->verify_entry(attached.uplink_ifindex, uplink_entry(attached)); !held) return held;
  if (auto held = impl_->verify_entry(attached.tun_ifindex, tun_entry(attached)); !held) return held;
  const auto counters = impl_->counters_of(attached.uplink_ifindex);
  return counters ? Result<>() : std::unexpected(counters.error());
}

Result<Counters> FastPath::counters(const Attachment& attached) {
  auto values = impl_->counters_of(attached.uplink_ifindex);
  if (!values) return std::unexpected(std::move(values).error().in(attached.uplink));
  return named_counters(*values);
}

}  // namespace clat::bpf
