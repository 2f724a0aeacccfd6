// ipv4-source and ipv6-source of an interface. Which of the two there are decides what they mean, so both are read
// first.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "config/config.hpp"
#include "config/reader.hpp"

namespace clat::config {

struct SourcesDraft {
  template <class Value>
  using Placed = std::vector<std::pair<Value, Place>>;

  std::optional<Place> ipv4_place = {}, ipv6_place = {};  // of the values
  Placed<Ipv4Prefix> ipv4 = {};
  Placed<Ipv6Prefix> ipv6 = {};
  std::optional<std::string> from = {};  // ipv6-source: {from: INTERFACE}
};

void read_ipv4_source(Reader& reader, const Entry& entry, SourcesDraft& draft);
void read_ipv6_source(Reader& reader, const Entry& entry, SourcesDraft& draft);

// What they mean for `values`, whose other keys are read. Where neither is given, those of the defaults stay.
void apply(const SourcesDraft& draft, Interface& values, Reader& reader);

// Ranges that overlap those of another interface, or hold an address that a CLAT has. `drafts[i]` is that of
// `interfaces[i]`.
void refuse_overlapping_ranges(std::span<const Interface* const> interfaces,
                               std::span<const SourcesDraft* const> drafts, const Ipv4Pool& pool, Reader& reader);

}  // namespace clat::config
