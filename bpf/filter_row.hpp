// Our filter among others on one side of a clsact qdisc: where it is, where it may be, and whether packets get there.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bpf/hook.hpp"
#include "bpf/tc_filter.hpp"
#include "core/base/error.hpp"

namespace clat::bpf {

constexpr std::uint32_t kOurHandle = 0x464;
// Where nothing is in the way; else ours is further in front. It is before what tc numbers by itself (49152 and down),
// and Android's too.
constexpr std::uint16_t kOurPref = 4;

class FilterRow {
 public:
  // In the order in which the kernel tells them.
  void add(const TcFilter& filter);

  [[nodiscard]] bool empty() const { return empty_; }
  // Its prefs. More than one while it moves, or when somebody died in the midst of that.
  [[nodiscard]] std::vector<std::uint16_t> ours() const;
  // Where to attach: where it is by now if that will do, else as far behind as will do. EBUSY where there is no such
  // place, or when another filter has our handle there.
  [[nodiscard]] Result<std::uint16_t> place(const MustSee& must_see) const;
  // The error says why this program does not run, or does not see what it must.
  [[nodiscard]] Result<> verify(std::uint32_t program_id, const MustSee& must_see) const;

 private:
  // All filters of one pref are of one kind and protocol.
  struct Pref {
    std::string kind;  // empty: no filter
    std::uint16_t protocol = 0;
    bool takes_all = false;
    std::optional<std::uint32_t> our_program;
    std::optional<std::string> stranger;  // has our handle; its program's name
  };
  [[nodiscard]] const Pref& at(std::uint16_t pref) const { return prefs_[pref - 1U]; }
  // The first that lets nothing through to those behind it; none: one behind the last of ours.
  [[nodiscard]] std::uint16_t first_obstacle(const MustSee& must_see) const;
  [[nodiscard]] std::string in_the_way(std::uint16_t pref) const;

  std::array<Pref, kOurPref> prefs_ = {};  // of chain 0; what is behind them is behind ours
  bool empty_ = true;
};

}  // namespace clat::bpf
