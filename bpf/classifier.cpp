#include "bpf/classifier.hpp"

#include <bpf/libbpf.h>
#include <libmnl/libmnl.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bpf/libbpf_log.hpp"

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

struct CloseSocket {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};

struct Filter {
  std::uint32_t handle = 0;
  std::uint32_t priority = 0;
  std::string name;  // of a BPF filter: its program's, as given by whoever attached it
};

int take_name(const nlattr* attribute, void* filter) {
  if (mnl_attr_get_type(attribute) == TCA_BPF_NAME && mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) >= 0) {
    static_cast<Filter*>(filter)->name = mnl_attr_get_str(attribute);
  }
  return MNL_CB_OK;
}
int take_options(const nlattr* attribute, void* filter) {
  return mnl_attr_get_type(attribute) == TCA_OPTIONS ? mnl_attr_parse_nested(attribute, take_name, filter) : MNL_CB_OK;
}
int take_filter(const nlmsghdr* answer, void* filters) {
  if (answer->nlmsg_type != RTM_NEWTFILTER || mnl_nlmsg_get_payload_len(answer) < sizeof(tcmsg)) return MNL_CB_OK;
  const auto* message = static_cast<const tcmsg*>(mnl_nlmsg_get_payload(answer));
  Filter filter{message->tcm_handle, TC_H_MAJ(message->tcm_info) >> 16, {}};
  mnl_attr_parse(answer, sizeof(tcmsg), take_options, &filter);
  static_cast<std::vector<Filter>*>(filters)->push_back(std::move(filter));
  return MNL_CB_OK;
}

// Filters on one side of the qdisc; none without qdisc or interface.
Result<std::vector<Filter>> filters_on(int ifindex, Flow flow) {
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

  std::vector<Filter> filters;
  for (;;) {
    const auto size = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
    if (size < 0) return failure("read filters", errno);
    const int more = mnl_cb_run(buffer.data(), static_cast<std::size_t>(size), 1, mnl_socket_get_portid(socket.get()),
                                take_filter, &filters);
    if (more < 0 && is_gone(-errno)) return std::vector<Filter>{};
    if (more < 0) return failure("read filters", errno);
    if (more == MNL_CB_STOP) return filters;
  }
}

Result<std::optional<Filter>> filter_at_our_place(int ifindex, Flow flow) {
  auto filters = filters_on(ifindex, flow);
  if (!filters) return std::unexpected(std::move(filters).error());
  const auto there = std::ranges::find_if(
      *filters, [](const Filter& filter) { return filter.handle == kHandle && filter.priority == kPriority; });
  if (there == filters->end()) return std::nullopt;
  return std::move(*there);
}

bool is_ours(const Filter& filter) { return filter.name.starts_with(kProgramNamePrefix); }

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
  const auto there = filter_at_our_place(hook.ifindex, hook.flow);
  if (!there) return std::unexpected(there.error());
  if (*there && !is_ours(**there)) {
    const auto& name = (*there)->name;
    return failure("our place for a clsact filter is taken by " + (name.empty() ? "another filter" : name), EBUSY);
  }
  const auto place = hook_at(hook.ifindex, point(hook.flow));
  auto options = our_place();
  options.prog_fd = hook.program_fd;
  options.flags = BPF_TC_F_REPLACE;
  const int error = bpf_tc_attach(&place, &options);
  if (error != 0) return libbpf_failure("attach a clsact filter", -error);
  return {};
}

Result<> remove_classifier(int ifindex, Flow flow) {
  const auto there = filter_at_our_place(ifindex, flow);
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
