// Why translating ended.
#pragma once

namespace clat::clatd {

struct Stop {
  enum class Cause {
    supervisor_gone,
    tun_gone,
    tun_failed,
    packet_socket_failed,
    control_failed,
    bad_request,
    bad_mtus,
    poll_failed,
  };
  Cause cause;
  int code = 0;  // errno or 0
};

}  // namespace clat::clatd
