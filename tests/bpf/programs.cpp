#include "tests/bpf/programs.hpp"

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <string_view>

namespace clat::test {

namespace {

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what + ": " + std::strerror(errno)); }

template <class Info>
Info info_of(int fd) {
  Info info{};
  std::uint32_t size = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd, &info, &size) != 0) fail("bpf_obj_get_info_by_fd");
  return info;
}

}  // namespace

BpfObjects our_objects() {
  BpfObjects objects;
  for (std::uint32_t id = 0; bpf_prog_get_next_id(id, &id) == 0;) {
    const bpf::OwnedFd fd(bpf_prog_get_fd_by_id(id));
    if (fd && std::string_view(info_of<bpf_prog_info>(fd.get()).name).starts_with("clat_")) objects.programs.insert(id);
  }
  for (std::uint32_t id = 0; bpf_map_get_next_id(id, &id) == 0;) {
    const bpf::OwnedFd fd(bpf_map_get_fd_by_id(id));
    if (fd && std::string_view(info_of<bpf_map_info>(fd.get()).name).starts_with("clat_")) objects.maps.insert(id);
  }
  for (std::uint32_t id = 0; bpf_link_get_next_id(id, &id) == 0;) {
    const bpf::OwnedFd fd(bpf_link_get_fd_by_id(id));
    if (fd && objects.programs.contains(info_of<bpf_link_info>(fd.get()).prog_id)) objects.links.insert(id);
  }
  return objects;
}

std::size_t open_files() {
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++files;
  return files;
}

std::vector<std::uint32_t> tcx_programs(int ifindex, bool ingress) {
  std::vector<std::uint32_t> ids(64);
  auto count = static_cast<std::uint32_t>(ids.size());
  if (bpf_prog_query(ifindex, static_cast<bpf_attach_type>(ingress ? 46 : 47), 0, nullptr, ids.data(), &count) != 0) {
    if (errno == ENOENT) return {};
    fail("bpf_prog_query");
  }
  ids.resize(count);
  return ids;
}

unsigned our_filters(const std::string& interface, const std::string& direction) {
  std::istringstream text(output_of("tc filter show dev " + interface + " " + direction + " || true"));
  unsigned filters = 0;
  for (std::string line; std::getline(text, line);) {
    if (line.find("clat_") != std::string::npos) ++filters;
  }
  return filters;
}

bpf::OwnedFd program_of_pin(const std::string& pin) {
  const bpf::OwnedFd link(bpf_obj_get(pin.c_str()));
  if (!link) fail(pin);
  bpf::OwnedFd program(bpf_prog_get_fd_by_id(info_of<bpf_link_info>(link.get()).prog_id));
  if (!program) fail("program of " + pin);
  return program;
}

std::uint32_t link_id_of_pin(const std::string& pin) {
  const bpf::OwnedFd link(bpf_obj_get(pin.c_str()));
  if (!link) fail(pin);
  return info_of<bpf_link_info>(link.get()).id;
}

Run run(const bpf::OwnedFd& program, int ifindex, const Bytes& frame, std::uint32_t gso_size) {
  __sk_buff context{};
  context.ifindex = static_cast<std::uint32_t>(ifindex);
  context.gso_size = gso_size;
  Run result;
  result.bytes.resize(frame.size() + 256);
  bpf_test_run_opts options{};
  options.sz = sizeof(options);
  options.data_in = frame.data();
  options.data_size_in = static_cast<std::uint32_t>(frame.size());
  options.data_out = result.bytes.data();
  options.data_size_out = static_cast<std::uint32_t>(result.bytes.size());
  options.ctx_in = &context;
  options.ctx_size_in = sizeof(context);
  if (bpf_prog_test_run_opts(program.get(), &options) != 0) fail("BPF_PROG_TEST_RUN");
  result.verdict = static_cast<int>(options.retval);
  result.bytes.resize(options.data_size_out);
  return result;
}

}  // namespace clat::test
