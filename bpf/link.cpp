#include "bpf/link.hpp"

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

#include "bpf/libbpf_log.hpp"
#include "core/base/fd.hpp"

namespace clat::bpf {

namespace {

// Numbers of <linux/bpf.h> since Linux 6.6; older headers lack the names.
constexpr std::uint32_t kLinkTypeTcx = 11;
constexpr std::uint32_t kTcxIngress = 46;
constexpr std::uint32_t kTcxEgress = 47;
constexpr std::size_t kMostPrograms = 64;  // at one hook (BPF_MPROG_MAX)

std::uint32_t tcx_type(Flow flow) { return flow == Flow::ingress ? kTcxIngress : kTcxEgress; }

struct LinkFacts {
  std::uint32_t type = 0;
  std::uint32_t ifindex = 0;  // 0: detached, or the interface is gone
  std::uint32_t attach_type = 0;
};

std::optional<LinkFacts> facts_of(int link) {
  bpf_link_info info{};
  std::uint32_t size = sizeof(info);
  if (bpf_obj_get_info_by_fd(link, &info, &size) != 0) return std::nullopt;
  // bpf_link_info.tcx is {ifindex, attach_type}, laid out as .netns, which older headers have.
  return LinkFacts{info.type, info.netns.netns_ino, info.netns.attach_type};
}

// The pinned link when it is on this hook, else nothing, and then nothing stays pinned there.
Result<Fd> adoptable(const Hook& hook, const Pin& pin) {
  auto link = open_pin(pin);
  if (!link) return link;
  if (*link) {
    const auto facts = facts_of(link->get());
    if (facts && facts->type == kLinkTypeTcx && facts->ifindex == static_cast<std::uint32_t>(hook.ifindex) &&
        facts->attach_type == tcx_type(hook.flow)) {
      return link;
    }
  }
  // Of an interface that is gone, or detached by somebody: such a link never attaches again. Or none of ours.
  if (auto removed = remove_link(pin); !removed) return std::unexpected(std::move(removed).error());
  return Fd();
}

// False: there is no link to take over.
Result<bool> take_over(const Hook& hook, const Pin& pin, const Pin& from) {
  auto link = adoptable(hook, from);
  if (!link) return std::unexpected(std::move(link).error());
  if (!*link) return false;
  if (const int error = bpf_link_update(link->get(), hook.program_fd, nullptr); error != 0) {
    if (error != -ENOLINK) return libbpf_failure("update the pinned link " + from.path(), -error);
    if (auto removed = remove_link(from); !removed) return std::unexpected(std::move(removed).error());
    return false;
  }
  if (&from == &pin) return true;
  if (auto pinned = make_pin(link->get(), pin); !pinned) return std::unexpected(std::move(pinned).error());
  if (auto removed = remove_pin(from); !removed) return std::unexpected(std::move(removed).error());
  return true;
}

// A link whose pin somebody removed is taken off its hook by a worker of the kernel, a moment later; until then its
// program is there, and cannot be there twice.
Result<Fd> create_link(const Hook& hook) {
  Fd link(bpf_link_create(hook.program_fd, hook.ifindex, static_cast<bpf_attach_type>(tcx_type(hook.flow)), nullptr));
  if (link) return link;
  if (errno == EEXIST) {
    clear_libbpf_log();
    return failure("a link that lost its pin is still on the hook", EAGAIN);
  }
  return libbpf_failure("create a TCX link", errno);
}

}  // namespace

bool has_tcx(int program_fd) {
  // No such interface where the kernel knows the hook; no such hook otherwise.
  constexpr int kNoInterface = 0x7fffffff;
  const Fd link(bpf_link_create(program_fd, kNoInterface, static_cast<bpf_attach_type>(kTcxIngress), nullptr));
  return !link && errno == ENODEV;
}

Result<> attach_link(const Hook& hook, const Pin& pin, const std::vector<Pin>& older) {
  auto done = take_over(hook, pin, pin);
  for (const auto& from : older) {
    if (!done) break;
    // With a link at `pin` already, an older one is a second program on the hook.
    if (*done) {
      if (auto removed = remove_link(from); !removed) return removed;
    } else {
      done = take_over(hook, pin, from);
    }
  }
  if (!done) return std::unexpected(std::move(done).error());
  if (*done) return {};

  const auto link = create_link(hook);
  if (!link) return std::unexpected(link.error());
  return make_pin(link->get(), pin);
}

Result<> remove_link(const Pin& pin) {
  if (const auto link = open_pin(pin); link && *link) bpf_link_detach(link->get());
  return remove_pin(pin);
}

bool may_be_attached(const Pin& pin) {
  const auto link = open_pin(pin);
  if (!link) return true;
  const auto facts = *link ? facts_of(link->get()) : std::nullopt;
  return facts && facts->ifindex != 0;
}

Result<> verify_link(const Hook& hook) {
  std::array<std::uint32_t, kMostPrograms> ids{};
  auto count = static_cast<std::uint32_t>(ids.size());
  const auto type = static_cast<bpf_attach_type>(tcx_type(hook.flow));
  if (const int error = bpf_prog_query(hook.ifindex, type, 0, nullptr, ids.data(), &count); error != 0) {
    return failure("ask for the programs at the TCX hook", -error);
  }
  if (std::ranges::find(ids.begin(), ids.begin() + count, hook.program_id) == ids.begin() + count) {
    return failure("the TCX link is detached, or its pin was removed");
  }
  return {};
}

}  // namespace clat::bpf
