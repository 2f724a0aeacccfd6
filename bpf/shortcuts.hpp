// Flows that may take the shortcut between LAN and uplink, as the programs know them.
#pragma once

#include <chrono>

#include "bpf/shortcut_flow.hpp"
#include "core/base/error.hpp"

namespace clat::bpf {

class Shortcuts {
 public:
  Shortcuts() = default;
  // Descriptors that outlive this.
  Shortcuts(int flows, int end) : flows_(flows), end_(end) {}

  // E2BIG when there are CLAT_MAX_SHORTCUTS. It begins without a proof, also where it was there.
  [[nodiscard]] Result<> put(const ShortcutFlow& flow) const;
  void drop(const ShortcutFlow& flow) const;
  void drop_all() const;
  // No flow takes the shortcut after that time, whatever is in the map.
  [[nodiscard]] Result<> answer_until(std::chrono::steady_clock::time_point end) const;

 private:
  int flows_ = -1;
  int end_ = -1;
};

}  // namespace clat::bpf
