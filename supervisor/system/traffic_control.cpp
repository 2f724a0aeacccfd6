#include "supervisor/system/traffic_control.hpp"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_ctinfo.h>
#include <linux/tc_act/tc_mirred.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "bpf/tc_filter.hpp"

namespace clat::system {

namespace {

// By these the copy is told from the filters of others. Our program has a pref of 4 at most; what tc numbers by itself
// comes behind.
constexpr std::uint32_t kOurHandle = 0x464;
constexpr std::uint16_t kOurPref = 0x464;

constexpr std::uint32_t kIngress = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
constexpr std::uint32_t kEgress = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS);

tcmsg about(int ifindex, std::uint32_t parent) {
  tcmsg header{};
  header.tcm_ifindex = ifindex;
  header.tcm_parent = parent;
  return header;
}

// Nothing of the kind: no device, no qdisc, no filter, or a kernel without traffic control.
bool is_none(const Error& error) {
  return error.code == ENODEV || error.code == ENOENT || error.code == EINVAL || error.code == EOPNOTSUPP;
}

Result<> unless_none(Result<> result, const char* context) {
  if (!result && is_none(result.error())) return {};
  return in_context(std::move(result), context);
}

Result<std::vector<bpf::TcFilter>> filters_at(NetlinkSocket& socket, int ifindex, std::uint32_t parent) {
  std::vector<bpf::TcFilter> filters;
  auto dumped = socket.dump(
      Request(RTM_GETTFILTER, 0, about(ifindex, parent)), [&] { filters.clear(); },
      [&](const Message& message) {
        if (message.type != RTM_NEWTFILTER) return;
        if (auto filter = bpf::parse_filter(std::as_bytes(message.payload))) filters.push_back(std::move(*filter));
      });
  if (auto read = unless_none(std::move(dumped), "read filters"); !read)
    return std::unexpected(std::move(read).error());
  return filters;
}

// The kernel puts the number of its table in front of a handle of u32.
bool is_ours(const bpf::TcFilter& filter) {
  constexpr std::uint32_t kOfFilter = 0xfff;
  const auto handle = filter.kind == "u32" ? filter.handle & kOfFilter : filter.handle;
  return filter.is_complete && filter.pref == kOurPref && filter.protocol == ETH_P_IP && handle == kOurHandle;
}

void put_value(Request& request, std::uint16_t type, const auto& value) {
  request.put(type, Bytes(reinterpret_cast<const std::uint8_t*>(&value), sizeof value));
}

void put_actions(Request& request, const bpf::Redirect& redirect) {
  std::uint16_t order = 0;
  const auto put = [&](std::string_view kind, const std::function<void()>& options) {
    request.nest(++order, [&] {
      request.put(TCA_ACT_KIND, kind);
      request.nest(TCA_ACT_OPTIONS, options);
    });
  };
  if (const auto& ctinfo = redirect.ctinfo) {
    put("ctinfo", [&] {
      tc_ctinfo parms{};
      parms.action = TC_ACT_PIPE;
      put_value(request, TCA_CTINFO_ACT, parms);
      request.put(TCA_CTINFO_ZONE, ctinfo->zone);
      for (const auto& [type, mask] : {std::pair{TCA_CTINFO_PARMS_DSCP_MASK, ctinfo->dscp_mask},
                                       {TCA_CTINFO_PARMS_DSCP_STATEMASK, ctinfo->dscp_state_mask},
                                       {TCA_CTINFO_PARMS_CPMARK_MASK, ctinfo->mark_mask}}) {
        if (mask != 0) request.put(static_cast<std::uint16_t>(type), mask);
      }
    });
  }
  put("mirred", [&] {
    tc_mirred parms{};
    parms.action = TC_ACT_STOLEN;
    parms.eaction = TCA_EGRESS_REDIR;
    parms.ifindex = static_cast<std::uint32_t>(redirect.device);
    put_value(request, TCA_MIRRED_PARMS, parms);
  });
}

Request filter_request(std::uint16_t type, std::uint16_t flags, int tun, std::uint32_t handle,
                       const std::string& kind) {
  auto header = about(tun, kIngress);
  header.tcm_handle = handle;
  header.tcm_info = TC_H_MAKE(std::uint32_t{kOurPref} << 16, std::uint32_t{htons(ETH_P_IP)});
  Request request(type, flags, header);
  request.put(TCA_KIND, kind);
  return request;
}

// Of the kind of the filter that it is a copy of: this kernel has that.
Result<> add_copy(NetlinkSocket& socket, int tun, const bpf::Redirect& redirect) {
  const auto actions = bpf::actions_of(redirect.kind);
  if (!actions) return failure("no filter of the kind " + redirect.kind, EOPNOTSUPP);
  auto request = filter_request(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, tun, kOurHandle, redirect.kind);
  request.nest(TCA_OPTIONS, [&] {
    if (redirect.kind == "u32") {
      // A head, and one key that is all zero.
      std::array<std::uint8_t, sizeof(tc_u32_sel) + sizeof(tc_u32_key)> every{};
      every[offsetof(tc_u32_sel, flags)] = TC_U32_TERMINAL;
      every[offsetof(tc_u32_sel, nkeys)] = 1;
      put_value(request, TCA_U32_SEL, every);
    }
    request.nest(*actions, [&] { put_actions(request, redirect); });
  });
  return in_context(socket.exchange(std::move(request)), "add a filter to the tun");
}

Result<> add_qdisc(NetlinkSocket& socket, int tun) {
  auto header = about(tun, TC_H_CLSACT);
  header.tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
  Request request(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, header);
  request.put(TCA_KIND, std::string_view("clsact"));
  auto added = socket.exchange(std::move(request));
  // An `ingress` qdisc in its place does as well.
  if (!added && added.error().code == EEXIST) return {};
  return in_context(std::move(added), "add a clsact qdisc to the tun");
}

Result<> remove_idle_qdisc(NetlinkSocket& socket, int tun) {
  for (const auto parent : {kIngress, kEgress}) {
    const auto filters = filters_at(socket, tun, parent);
    if (!filters) return std::unexpected(filters.error());
    if (!filters->empty()) return {};
  }
  auto header = about(tun, TC_H_CLSACT);
  header.tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
  return unless_none(socket.exchange(Request(RTM_DELQDISC, 0, header)), "remove the qdisc of the tun");
}

}  // namespace

Result<std::vector<int>> filtered_devices(NetlinkSocket& socket) {
  constexpr std::size_t kLongestKind = 16;
  std::vector<int> devices;
  auto dumped = socket.dump(
      Request(RTM_GETQDISC, 0, tcmsg{}), [&] { devices.clear(); },
      [&](const Message& message) {
        const auto header = read_as<tcmsg>(message.payload);
        const auto kind = find_attribute(attributes_after<tcmsg>(message.payload), TCA_KIND);
        if (message.type != RTM_NEWQDISC || !header || header->tcm_parent != TC_H_CLSACT || !kind) return;
        const auto name = read_text(*kind, kLongestKind);
        if (name == "ingress" || name == "clsact") devices.push_back(header->tcm_ifindex);
      });
  if (auto read = unless_none(std::move(dumped), "read qdiscs"); !read) return std::unexpected(std::move(read).error());
  return devices;
}

Result<bpf::Ingress> read_ingress(NetlinkSocket& socket, int ifindex) {
  const auto filters = filters_at(socket, ifindex, kIngress);
  if (!filters) return std::unexpected(filters.error());
  bpf::Ingress ingress;
  for (const auto& filter : *filters) add_to(ingress, filter);
  return ingress;
}

Result<> copy_redirect(NetlinkSocket& socket, int tun, const std::optional<bpf::Redirect>& wanted) {
  const auto filters = filters_at(socket, tun, kIngress);
  if (!filters) return std::unexpected(filters.error());
  bool stands = false;
  for (const auto& filter : *filters) {
    if (!is_ours(filter)) continue;
    stands = wanted && filter.redirect == wanted;
    if (stands) continue;
    auto removed = socket.exchange(filter_request(RTM_DELTFILTER, 0, tun, filter.handle, filter.kind));
    if (auto gone = unless_none(std::move(removed), "remove a filter from the tun"); !gone) return gone;
    if (!wanted) return remove_idle_qdisc(socket, tun);
  }
  if (stands || !wanted) return {};
  if (auto qdisc = add_qdisc(socket, tun); !qdisc) return qdisc;
  return add_copy(socket, tun, *wanted);
}

Result<> verify_redirect(NetlinkSocket& socket, int tun, const std::optional<bpf::Redirect>& wanted) {
  const auto filters = filters_at(socket, tun, kIngress);
  if (!filters) return std::unexpected(filters.error());
  const auto ours = std::ranges::find_if(*filters, is_ours);
  const auto found = ours == filters->end() ? std::nullopt : ours->redirect;
  if (found == wanted) return {};
  return failure(!found ? "the filter that shapes the tun is gone" : "the filter that shapes the tun is another");
}

}  // namespace clat::system
