// The DNS servers that this host was told of.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/net/name_server.hpp"

namespace clat::sources {

// For `device`, from the first of these files that names any: systemd-resolved's list of what the links gave,
// netifd's, resolv.conf. `root` is put in front of their paths. Reads them now; an unreadable one names none.
std::vector<NameServer> host_name_servers(std::string_view device, const std::string& root = {});

}  // namespace clat::sources
