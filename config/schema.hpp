// What the keys mean (docs/config.md lists them).
#pragma once

#include "config/config.hpp"
#include "config/reader.hpp"
#include "config/tree.hpp"

namespace clat::config {

// The value is of use only if the reader made no finding.
Config read_config(const Node& root, Reader& reader);

// The part below `interfaces`; `defaults`, which may be null, is the entry of that name.
std::vector<Interface> read_interfaces(const Node& mapping, const Entry* defaults, const Ipv4Pool& pool,
                                       Reader& reader);

}  // namespace clat::config
