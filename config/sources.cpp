#include "config/sources.hpp"

#include "config/scalar.hpp"

namespace clat::config {

namespace {

constexpr std::size_t kMostRanges = 8;  // CLAT_MAX_RANGES

std::string overlaps(const std::string& other) { return " overlaps " + other; }

// One value, or a list of them, each with its place.
template <class Value, class Parse>
void take_some(Reader& reader, const Entry& entry, SourcesDraft::Placed<Value>& into, Parse parse) {
  const auto take = [&](const Node& node) {
    Value value;
    if (reader.take(Entry{entry.key, entry.place, node}, value, parse)) into.emplace_back(value, node.place);
  };
  into.clear();
  if (entry.value.kind != Node::Kind::sequence) return take(entry.value);
  if (entry.value.entries.empty()) return reader.fail(entry, "the list is empty");
  if (entry.value.entries.size() > kMostRanges) {
    return reader.fail(entry, "at most " + std::to_string(kMostRanges) + " can be mapped");
  }
  for (const Entry& item : entry.value.entries) take(item.value);
}

constexpr std::array<Key<SourcesDraft>, 1> kSourceKeys{{
    {"from",
     [](Reader& reader, const Entry& entry, SourcesDraft& draft) {
       std::string name;
       if (reader.take(entry, name, interface_name_or_altname)) draft.from = std::move(name);
     }},
}};

void pair_up(const SourcesDraft& draft, Interface& values, Reader& reader) {
  const Place& place = *draft.ipv4_place;
  if (!draft.ipv6_place) return reader.fail(place, "ipv4-source: goes with an ipv6-source, into which it is mapped");
  if (draft.from) {
    return reader.fail(*draft.ipv6_place, "ipv6-source: an ipv4-source is mapped into a prefix; name it");
  }
  if (draft.ipv4.empty() || draft.ipv6.empty()) return;  // told already
  if (draft.ipv4.size() != draft.ipv6.size()) {
    return reader.fail(place, "ipv4-source: as many as of ipv6-source belong here, " +
                                  std::to_string(draft.ipv6.size()) + ", not " + std::to_string(draft.ipv4.size()));
  }
  for (std::size_t i = 0; i < draft.ipv4.size(); ++i) {
    const auto& [prefix, there] = draft.ipv6[i];
    auto v6 = Nat64Prefix::make(prefix.address, prefix.length);
    if (!v6)
      reader.fail(there, "ipv6-source: " + v6.error().what);
    else
      values.ranges.push_back({draft.ipv4[i].first, *v6});
  }
}

void refuse_own_addresses(const SourcesDraft& draft, const Interface& values, Reader& reader) {
  for (std::size_t i = 0; i < values.ranges.size(); ++i) {
    const auto& range = values.ranges[i];
    if (values.nat64_prefix && overlap(values.nat64_prefix->as_prefix(), range.v6.as_prefix())) {
      reader.fail(draft.ipv6[i].second, "ipv6-source: " + range.v6.text() +
                                            overlaps("the interface's NAT64 prefix " + values.nat64_prefix->text()));
    }
    for (std::size_t j = 0; j < i; ++j) {
      const auto& other = values.ranges[j];
      if (overlap(other.v4, range.v4)) {
        reader.fail(draft.ipv4[i].second, "ipv4-source: " + range.v4.text() + overlaps(other.v4.text()));
      } else if (overlap(other.covered(), range.covered())) {
        reader.fail(draft.ipv6[i].second, "ipv6-source: " + range.text() + overlaps(other.text()));
      }
    }
  }
}

}  // namespace

void read_ipv4_source(Reader& reader, const Entry& entry, SourcesDraft& draft) {
  draft.ipv4_place = entry.value.place;
  take_some(reader, entry, draft.ipv4, ipv4_source);
}

void read_ipv6_source(Reader& reader, const Entry& entry, SourcesDraft& draft) {
  draft.ipv6_place = entry.value.place;
  draft.from.reset();
  if (entry.value.kind == Node::Kind::mapping)
    reader.take_keys(entry.value, kSourceKeys, draft);
  else
    take_some(reader, entry, draft.ipv6, ipv6_source);
}

void apply(const SourcesDraft& draft, Interface& values, Reader& reader) {
  if (draft.ipv4_place) {
    values.ipv6_source.reset();  // of the defaults
    pair_up(draft, values, reader);
    // Pairs are known by their position only where all were understood.
    if (values.ranges.size() == draft.ipv4.size()) refuse_own_addresses(draft, values, reader);
    return;
  }
  if (!draft.ipv6_place) return;
  if (values.ipv6_address) {
    reader.fail(*draft.ipv6_place, "ipv6-source: the address is given already, by ipv6-address");
  }
  if (draft.ipv6.size() > 1) {
    reader.fail(draft.ipv6[1].second, "ipv6-source: the CLAT's own address is in one; a list goes with ipv4-source");
  }
  if (draft.from)
    values.ipv6_source = *draft.from;
  else if (!draft.ipv6.empty())
    values.ipv6_source = draft.ipv6.front().first;
}

void refuse_overlapping_ranges(std::span<const Interface* const> interfaces,
                               std::span<const SourcesDraft* const> drafts, const Ipv4Pool& pool, Reader& reader) {
  const auto refuse_addresses_of = [&](const Interface& other, const RangeMapping& range, const Place& v4,
                                       const Place& v6) {
    const auto of = " of " + in_quotes(other.name);
    if (other.ipv4_address && range.v4.contains(*other.ipv4_address)) {
      reader.fail(v4, "ipv4-source: " + range.v4.text() + " holds the ipv4-address" + of);
    }
    if (other.ipv6_address && range.covered().contains(*other.ipv6_address)) {
      reader.fail(v6, "ipv6-source: " + range.text() + " holds the ipv6-address" + of);
    }
  };
  const auto refuse_ranges_of = [&](const Interface& other, const RangeMapping& range, const Place& v4,
                                    const Place& v6) {
    const auto of = " of " + in_quotes(other.name);
    for (const auto& there : other.ranges) {
      if (overlap(there.v4, range.v4)) {
        reader.fail(v4, "ipv4-source: " + range.v4.text() + overlaps(there.v4.text()) + of);
      }
      if (overlap(there.v6.as_prefix(), range.v6.as_prefix())) {
        reader.fail(v6, "ipv6-source: " + range.v6.text() + overlaps(there.v6.text()) + of);
      }
    }
  };
  for (std::size_t i = 0; i < interfaces.size(); ++i) {
    const auto& ranges = interfaces[i]->ranges;
    if (ranges.size() != drafts[i]->ipv4.size()) continue;
    for (std::size_t n = 0; n < ranges.size(); ++n) {
      const Place& v4 = drafts[i]->ipv4[n].second;
      const Place& v6 = drafts[i]->ipv6[n].second;
      if (overlap(pool.prefix(), ranges[n].v4)) {
        reader.fail(v4, "ipv4-source: " + ranges[n].v4.text() + overlaps("the ipv4-pool " + pool.text()));
      }
      for (const Interface* other : interfaces) refuse_addresses_of(*other, ranges[n], v4, v6);
      // A pair is told once, at the second.
      for (const Interface* other : interfaces.first(i)) refuse_ranges_of(*other, ranges[n], v4, v6);
    }
  }
}

}  // namespace clat::config
