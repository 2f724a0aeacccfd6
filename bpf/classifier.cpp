#include "bpf/classifier.hpp"

#include <bpf/libbpf.h>
#include <libmnl/libmnl.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include <array>
#include <cerrno>
#include <memory>

#include "bpf/filter_row.hpp"
#include "bpf/libbpf_log.hpp"
#include "bpf/tc_filter.hpp"
#include "core/base/first_error.hpp"

namespace clat::bpf {

namespace {

bpf_tc_attach_point point(Flow flow) { return flow == Flow::ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS; }

bpf_tc_hook hook_at(int ifindex, int points) {
  bpf_tc_hook hook{};
  hook.sz = sizeof(hook);
  hook.ifindex = ifindex;
  hook.attach_point = static_cast<bpf_tc_attach_point>(points);
  return hook;
}

bpf_tc_opts place_at(std::uint16_t pref) {
  bpf_tc_opts options{};
  options.sz = sizeof(options);
  options.handle = kOurHandle;
  options.priority = pref;
  return options;
}

// No filter there, no qdisc, no interface.
bool is_gone(int error) { return error == -ENOENT || error == -EINVAL || error == -ENODEV; }

struct CloseSocket {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};

int take_filter(const nlmsghdr* answer, void* row) {
  if (answer->nlmsg_type != RTM_NEWTFILTER) return MNL_CB_OK;
  const auto* payload = static_cast<const std::byte*>(mnl_nlmsg_get_payload(answer));
  if (const auto filter = parse_filter({payload, mnl_nlmsg_get_payload_len(answer)})) {
    static_cast<FilterRow*>(row)->add(*filter);
  }
  return MNL_CB_OK;
}

// Filters on one side of the qdisc; none without qdisc or interface.
Result<FilterRow> filters_on(int ifindex, Flow flow) {
  const std::unique_ptr<mnl_socket, CloseSocket> socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) != 0) return failure("netlink socket", errno);
  std::array<char, 32768> buffer{};  // as much as the kernel puts into one message of a dump
  auto* header = mnl_nlmsg_put_header(buffer.data());
  header->nlmsg_type = RTM_GETTFILTER;
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  header->nlmsg_seq = 1;
  auto* message = static_cast<tcmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(tcmsg)));
  message->tcm_family = AF_UNSPEC;
  message->tcm_ifindex = ifindex;
  message->tcm_parent = TC_H_MAKE(TC_H_CLSACT, flow == Flow::ingress ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS);
  if (mnl_socket_sendto(socket.get(), header, header->nlmsg_len) < 0) return failure("ask for filters", errno);

  FilterRow row;
  for (;;) {
    const auto size = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
    if (size < 0) return failure("read filters", errno);
    const int more = mnl_cb_run(buffer.data(), static_cast<std::size_t>(size), 1, mnl_socket_get_portid(socket.get()),
                                take_filter, &row);
    if (more < 0 && is_gone(-errno)) return FilterRow();
    if (more < 0) return failure("read filters", errno);
    if (more == MNL_CB_STOP) return row;
  }
}

// Gone afterwards, also when it, qdisc or interface were gone.
Result<> remove_at(int ifindex, Flow flow, std::uint16_t pref) {
  const auto side = hook_at(ifindex, point(flow));
  const auto place = place_at(pref);
  const int error = bpf_tc_detach(&side, &place);
  if (error != 0 && !is_gone(error)) return libbpf_failure("detach the clsact filter", -error);
  clear_libbpf_log();
  return {};
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
  for (const auto flow : {Flow::ingress, Flow::egress}) {
    const auto filters = filters_on(ifindex, flow);
    if (!filters) return std::unexpected(filters.error());
    if (!filters->empty()) return {};
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
  const auto row = filters_on(hook.ifindex, hook.flow);
  if (!row) return std::unexpected(row.error());
  const auto pref = row->place(hook.must_see);
  if (!pref) return std::unexpected(pref.error());
  const auto side = hook_at(hook.ifindex, point(hook.flow));
  auto options = place_at(*pref);
  options.prog_fd = hook.program_fd;
  options.flags = BPF_TC_F_REPLACE;
  if (const int error = bpf_tc_attach(&side, &options); error != 0) {
    return libbpf_failure("attach a clsact filter", -error);
  }
  // The one at the place before goes last, so there is none to miss in between.
  for (const auto before : row->ours()) {
    if (before == *pref) continue;
    if (auto removed = remove_at(hook.ifindex, hook.flow, before); !removed) return removed;
  }
  return {};
}

Result<> remove_classifier(int ifindex, Flow flow) {
  const auto row = filters_on(ifindex, flow);
  if (!row) return std::unexpected(row.error());
  Result<> first;
  for (const auto pref : row->ours()) note(first, remove_at(ifindex, flow, pref));
  return first;
}

Result<> verify_classifier(const Hook& hook) {
  const auto row = filters_on(hook.ifindex, hook.flow);
  if (!row) return std::unexpected(row.error());
  return row->verify(hook.program_id, hook.must_see);
}

}  // namespace clat::bpf
