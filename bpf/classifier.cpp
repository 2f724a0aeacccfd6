#include "bpf/classifier.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <libmnl/libmnl.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <string_view>

#include "bpf/libbpf_log.hpp"
#include "bpf/owned_fd.hpp"

namespace clat::bpf {

namespace {

constexpr std::uint32_t kHandle = 0x464;
constexpr std::uint32_t kPriority = 4;  // before what tc numbers by itself (49152 and down); Android's too

bpf_tc_attach_point point(Flow flow) { return flow == Flow::ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS; }

bpf_tc_hook hook_at(int ifindex, int points) {
  bpf_tc_hook hook{};
  hook.sz = sizeof(hook);
  hook.ifindex = ifindex;
  hook.attach_point = static_cast<bpf_tc_attach_point>(points);
  return hook;
}

bpf_tc_opts our_place() {
  bpf_tc_opts options{};
  options.sz = sizeof(options);
  options.handle = kHandle;
  options.priority = kPriority;
  return options;
}

// No filter at our place, no qdisc, no interface.
bool is_gone(int error) { return error == -ENOENT || error == -EINVAL || error == -ENODEV; }

// Program id at our place; nothing when there is none.
Result<std::optional<std::uint32_t>> program_at(int ifindex, Flow flow) {
  const auto hook = hook_at(ifindex, point(flow));
  auto options = our_place();
  const int error = bpf_tc_query(&hook, &options);
  clear_libbpf_log();
  if (error == 0) return options.prog_id;
  if (is_gone(error)) return std::nullopt;
  return failure("query the filter", -error);
}

bool is_ours(std::uint32_t program_id) {
  const OwnedFd program(bpf_prog_get_fd_by_id(program_id));
  bpf_prog_info info{};
  std::uint32_t size = sizeof(info);
  if (!program || bpf_obj_get_info_by_fd(program.get(), &info, &size) != 0) return false;
  return std::string_view(info.name).starts_with(kProgramNamePrefix);
}

struct CloseSocket {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};

// Filters under one parent of the clsact qdisc, ENODEV and the like included in the error.
Result<unsigned> count_filters(int ifindex, std::uint32_t parent) {
  const std::unique_ptr<mnl_socket, CloseSocket> socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) != 0) return failure("netlink socket", errno);
  // A filter may be as long as what its dump buffer takes.
  std::array<char, 32768> buffer{};
  auto* header = mnl_nlmsg_put_header(buffer.data());
  header->nlmsg_type = RTM_GETTFILTER;
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  header->nlmsg_seq = 1;
  auto* message = static_cast<tcmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(tcmsg)));
  message->tcm_family = AF_UNSPEC;
  message->tcm_ifindex = ifindex;
  message->tcm_parent = parent;
  if (mnl_socket_sendto(socket.get(), header, header->nlmsg_len) < 0) return failure("ask for filters", errno);

  unsigned filters = 0;
  const auto count = [](const nlmsghdr* answer, void* data) {
    if (answer->nlmsg_type == RTM_NEWTFILTER) ++*static_cast<unsigned*>(data);
    return MNL_CB_OK;
  };
  for (;;) {
    const auto size = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
    if (size < 0) return failure("read filters", errno);
    const int more = mnl_cb_run(buffer.data(), static_cast<std::size_t>(size), 1, mnl_socket_get_portid(socket.get()),
                                count, &filters);
    if (more < 0) return failure("read filters", errno);
    if (more == MNL_CB_STOP) return filters;
  }
}

}  // namespace

Result<bool> ensure_clsact(int ifindex) {
  auto hook = hook_at(ifindex, BPF_TC_INGRESS | BPF_TC_EGRESS);
  const int error = bpf_tc_hook_create(&hook);
  // Also an `ingress` qdisc in its place, which takes ingress filters all the same.
  if (error == -EEXIST) {
    clear_libbpf_log();
    return false;
  }
  if (error != 0) return libbpf_failure("create the clsact qdisc", -error);
  return true;
}

Result<> remove_empty_clsact(int ifindex) {
  for (const std::uint32_t half : {TC_H_MIN_INGRESS, TC_H_MIN_EGRESS}) {
    const auto filters = count_filters(ifindex, TC_H_MAKE(TC_H_CLSACT, half));
    if (!filters) {
      if (is_gone(-filters.error().code)) return {};
      return std::unexpected(filters.error());
    }
    if (*filters != 0) return {};
  }
  auto hook = hook_at(ifindex, BPF_TC_INGRESS | BPF_TC_EGRESS);
  const int error = bpf_tc_hook_destroy(&hook);
  if (error == 0 || is_gone(error)) {
    clear_libbpf_log();
    return {};
  }
  return libbpf_failure("remove the clsact qdisc", -error);
}

Result<> attach_classifier(const Hook& hook) {
  const auto place = hook_at(hook.ifindex, point(hook.flow));
  auto options = our_place();
  options.prog_fd = hook.program_fd;
  options.flags = BPF_TC_F_REPLACE;
  const int error = bpf_tc_attach(&place, &options);
  if (error != 0) return libbpf_failure("attach a clsact filter", -error);
  return {};
}

Result<> remove_classifier(int ifindex, Flow flow) {
  const auto there = program_at(ifindex, flow);
  if (!there) return std::unexpected(there.error());
  if (!*there || !is_ours(**there)) return {};
  const auto place = hook_at(ifindex, point(flow));
  auto options = our_place();
  const int error = bpf_tc_detach(&place, &options);
  if (error == 0 || is_gone(error)) {
    clear_libbpf_log();
    return {};
  }
  return libbpf_failure("detach the clsact filter", -error);
}

Result<> verify_classifier(const Hook& hook) {
  const auto there = program_at(hook.ifindex, hook.flow);
  if (!there) return std::unexpected(there.error());
  if (!*there) return failure("the clsact filter is gone");
  if (**there != hook.program_id) return failure("the clsact filter runs another program");
  return {};
}

}  // namespace clat::bpf
