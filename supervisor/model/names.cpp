#include "supervisor/model/actions.hpp"

namespace clat::model {

std::string_view name(Part part) {
  switch (part) {
    case Part::record: return "record";
    case Part::tun: return "tun";
    case Part::setup: return "setup";
    case Part::guard: return "guard";
    case Part::fast_path: return "fast-path";
    case Part::announce: return "announce";
    case Part::child: return "child";
    case Part::route: return "route";
  }
  return "?";
}

std::string_view name(Leg leg) {
  switch (leg) {
    case Leg::fast: return "fast";
    case Leg::routed: return "routed";
    case Leg::anycast: return "anycast";
  }
  return "?";
}

std::string_view name(Verb verb) {
  switch (verb) {
    case Verb::make: return "make";
    case Verb::change: return "change";
    case Verb::remove: return "remove";
    case Verb::kill: return "kill";
    case Verb::verify: return "verify";
  }
  return "?";
}

}  // namespace clat::model
