#include "supervisor/model/events.hpp"

#include <cerrno>

namespace clat::model {

bool says_nothing(const Error& error) {
  switch (error.code) {
    case ENOMEM:
    case ENOBUFS:
    case EMFILE:
    case ENFILE:
    case EAGAIN:
    case EINTR:
    case EIO: return true;
    default: return false;
  }
}

}  // namespace clat::model
