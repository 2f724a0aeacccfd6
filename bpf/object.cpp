#include "bpf/object.hpp"

#include <zlib.h>

#include <cerrno>
#include <cstdint>
#include <span>
#include <vector>

#include "bpf/libbpf_log.hpp"

// In object.S.
extern "C" {
extern const unsigned char clat_bpf_object[];
extern const std::uint32_t clat_bpf_object_size;
}

namespace clat::bpf {

namespace {

// The last four bytes of a gzip file are the size of what it holds, little-endian (RFC 1952, section 2.3.1).
std::uint32_t unpacked_size(std::span<const unsigned char> packed) {
  const auto size = packed.last<4>();
  return std::uint32_t{size[0]} | std::uint32_t{size[1]} << 8 | std::uint32_t{size[2]} << 16 |
         std::uint32_t{size[3]} << 24;
}

Result<std::vector<unsigned char>> unpack(std::span<const unsigned char> packed) {
  std::vector<unsigned char> unpacked(unpacked_size(packed));
  z_stream stream{};
  stream.next_in = const_cast<unsigned char*>(packed.data());  // zlib only reads it
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = unpacked.data();
  stream.avail_out = static_cast<uInt>(unpacked.size());
  constexpr int kGzip = 16 + MAX_WBITS;
  if (inflateInit2(&stream, kGzip) != Z_OK) return failure("unpack the BPF object", ENOMEM);
  const int result = inflate(&stream, Z_FINISH);
  inflateEnd(&stream);
  if (result != Z_STREAM_END) return failure("unpack the BPF object", result == Z_MEM_ERROR ? ENOMEM : EBADMSG);
  return unpacked;
}

}  // namespace

Result<Object> open_object() {
  // libbpf copies what it needs of it.
  const auto unpacked = unpack({clat_bpf_object, clat_bpf_object_size});
  if (!unpacked) return std::unexpected(unpacked.error());
  bpf_object_open_opts options{};
  options.sz = sizeof(options);
  options.object_name = "clat_programs";
  Object object(bpf_object__open_mem(unpacked->data(), unpacked->size(), &options));
  if (!object) return libbpf_failure("open the BPF object", errno);
  return object;
}

}  // namespace clat::bpf
