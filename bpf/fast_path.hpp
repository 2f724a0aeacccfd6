// The eBPF programs: loads them once, attaches them per uplink, and can say at any time whether they are still
// attached. What is attached comes in two: the Filter, a check on what clatd writes, and the fast path (an Attachment),
// which needs the filter below it. Each is all or nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bpf/attachment.hpp"
#include "bpf/shortcuts.hpp"
#include "core/base/error.hpp"
#include "core/net/ipv4_prefix.hpp"

namespace clat::bpf {

enum class AttachKind : std::uint8_t { tcx, clsact };
std::string name(AttachKind kind);

// Name and value, summed over CPUs, in a fixed order.
using Counters = std::vector<std::pair<std::string, std::uint64_t>>;

class FastPath {
 public:
  // Loads programs and maps, or takes over the maps that an earlier process of the same ABI pinned under `bpf_dir` (a
  // folder in a bpffs) in this network namespace; where they do not fit these programs, they and all that runs on them
  // goes first. EBUSY while another FastPath of this namespace has that `bpf_dir`. `allow_tcx` false goes straight to
  // clsact, as kernels before 6.6 do by themselves.
  static Result<FastPath> open(const std::string& bpf_dir, bool allow_tcx = true);
  FastPath(FastPath&&) noexcept;
  FastPath& operator=(FastPath&&) noexcept;
  ~FastPath();  // closes; what is pinned or attached stays attached

  // The map entry first, then the programs: the tun's entry and tun ingress for the filter, the uplink's entry, tun
  // egress and uplink ingress for the fast path. On an error nothing of it is left attached. Doing it again is harmless
  // and takes over links that are pinned already. EAGAIN, for at most half a second, while a link that lost its pin is
  // still on its hook: try again in some ms. What was attached before stays meanwhile, and is at work. EAGAIN also
  // while a filter of this process is at another tun for an uplink that had the same number: it has to be detached
  // first.
  Result<> attach(const Filter& wanted);
  Result<AttachKind> attach(const Attachment& wanted);
  // Replaces the map entry. Same ifindexes as attached. The programs find the old entry or the new one, never none nor
  // parts of both; for that it may wait for those that are running, some 10 ms.
  Result<> update(const Filter& wanted);
  Result<> update(const Attachment& wanted);
  // Changes nothing of `wanted` but `optimistic`, and so no map entry: it waits for no program.
  Result<> set_optimistic(const Attachment& wanted);
  // IPv4 subnets of the host's other interfaces, at most CLAT_MAX_SUBNETS: what comes by any CLAT from an address of
  // them is dropped. To be given before the first attach; programs attached by an earlier FastPath do not go by it.
  Result<> know_subnets(std::span<const Ipv4Prefix> subnets);
  // Gone afterwards, also when it was gone, or the interface was gone, before. The fast path goes first. What another
  // CLAT, attached since, has by the same number stays.
  Result<> detach(const Filter& attached);
  Result<> detach(const Attachment& attached);
  // Takes away what an earlier process attached for this uplink, known by the interface index alone. What this one
  // attached there stays.
  Result<> forget(int uplink_ifindex);
  // Whether the maps, which all uplinks share, are pinned where the next process looks for them; attach() pins them
  // again.
  Result<> verify_pins();
  // The error says which program is not attached any more, or which map entry is not as it was written. A system call
  // for each program and each entry.
  Result<> verify(const Filter& attached);
  Result<> verify(const Attachment& attached);
  // They come with whichever of the two is attached first, and go with the last.
  Result<Counters> counters(const Attachment& attached);

  // The programs of the shortcut are on these devices afterwards (ifindexes) and on no others. Needs no CLAT. EAGAIN as
  // above.
  Result<> serve_lan(std::span<const int> devices);
  Result<> verify_lan(std::span<const int> devices);
  // Flows in it may take the shortcut. They are this process's own: programs attached by an earlier one do not go by
  // it.
  [[nodiscard]] const Shortcuts& shortcuts() const;

  // Takes away everything of this network namespace that is pinned under `bpf_dir`, what is left there of namespaces
  // that are gone, and the folder when it is empty then. Works without a loaded FastPath: EBUSY while one of this
  // namespace has that `bpf_dir`.
  static Result<> purge(const std::string& bpf_dir);

 private:
  struct Impl;
  explicit FastPath(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace clat::bpf
