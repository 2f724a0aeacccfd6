// Requests of the control socket: whatever comes is refused with a reason, or is a command with the names it needs.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "require.hpp"
#include "supervisor/ctl/request.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace clat::ctl;
  using clat::test::require;
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  const auto request = parse(line);
  if (!request) {
    require(!request.error().empty());
    return 0;
  }
  require(size <= kLongestRequest);
  for (const char letter : request->iface + request->field) require(static_cast<unsigned char>(letter) > ' ');
  if (request->verb == Verb::show) require(!request->field.empty());
  if (request->verb == Verb::show || request->verb == Verb::restart) require(!request->iface.empty());
  return 0;
}
