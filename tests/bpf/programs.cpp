#include "tests/bpf/programs.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <ranges>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <thread>

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

bool uses(int program, const std::set<std::uint32_t>& maps) {
  std::array<std::uint32_t, 16> ids{};
  bpf_prog_info info{};
  info.nr_map_ids = ids.size();
  info.map_ids = reinterpret_cast<std::uintptr_t>(ids.data());
  std::uint32_t size = sizeof(info);
  if (bpf_obj_get_info_by_fd(program, &info, &size) != 0) fail("bpf_obj_get_info_by_fd");
  const auto count = std::min<std::size_t>(info.nr_map_ids, ids.size());
  return std::any_of(ids.begin(), ids.begin() + count, [&](auto id) { return maps.contains(id); });
}

constexpr auto kTcxIngress = static_cast<bpf_attach_type>(46), kTcxEgress = static_cast<bpf_attach_type>(47);

std::vector<std::uint32_t> tcx_programs(int ifindex, bpf_attach_type hook) {
  std::vector<std::uint32_t> ids(64);
  auto count = static_cast<std::uint32_t>(ids.size());
  if (bpf_prog_query(ifindex, hook, 0, nullptr, ids.data(), &count) != 0) {
    if (errno == ENOENT) return {};
    fail("bpf_prog_query");
  }
  ids.resize(count);
  return ids;
}

bool is_ours(std::uint32_t program) {
  const Fd fd(bpf_prog_get_fd_by_id(program));
  return fd && std::string_view(info_of<bpf_prog_info>(fd.get()).name).starts_with("clat_");
}

}  // namespace

BpfObjects objects_of(const std::string& bpf_dir) {
  BpfObjects objects;
  const auto folder = bpf_dir + "/" + bpf::version_name(CLAT_ABI_VERSION, *bpf::network_namespace());
  for (const auto* pin : {"/interfaces", "/counters"}) {
    const Fd fd(bpf_obj_get((folder + pin).c_str()));
    if (fd) objects.maps.insert(info_of<bpf_map_info>(fd.get()).id);
  }
  for (std::uint32_t id = 0; bpf_prog_get_next_id(id, &id) == 0;) {
    const Fd fd(bpf_prog_get_fd_by_id(id));
    if (fd && uses(fd.get(), objects.maps)) objects.programs.insert(id);
  }
  for (std::uint32_t id = 0; bpf_link_get_next_id(id, &id) == 0;) {
    const Fd fd(bpf_link_get_fd_by_id(id));
    if (fd && objects.programs.contains(info_of<bpf_link_info>(fd.get()).prog_id)) objects.links.insert(id);
  }
  return objects;
}

bool eventually(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

bool have_gone(const BpfObjects& objects) {
  const auto none = [](const std::set<std::uint32_t>& ids, auto open_by_id) {
    return std::ranges::none_of(ids, [&](auto id) { return static_cast<bool>(Fd(open_by_id(id))); });
  };
  return eventually([&] {
    return none(objects.links, bpf_link_get_fd_by_id) && none(objects.programs, bpf_prog_get_fd_by_id) &&
           none(objects.maps, bpf_map_get_fd_by_id);
  });
}

std::size_t open_files() {
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++files;
  return files;
}

std::size_t our_tcx_programs(int ifindex, bool ingress) {
  return static_cast<std::size_t>(
      std::ranges::count_if(tcx_programs(ifindex, ingress ? kTcxIngress : kTcxEgress), is_ours));
}

unsigned our_filters(const std::string& interface, const std::string& direction) {
  std::istringstream text(output_of("tc filter show dev " + interface + " " + direction + " || true"));
  unsigned filters = 0;
  for (std::string line; std::getline(text, line);) {
    if (line.find("clat_") != std::string::npos) ++filters;
  }
  return filters;
}

Fd program_of_pin(const std::string& pin) {
  const Fd link(bpf_obj_get(pin.c_str()));
  if (!link) fail(pin);
  Fd program(bpf_prog_get_fd_by_id(info_of<bpf_link_info>(link.get()).prog_id));
  if (!program) fail("program of " + pin);
  return program;
}

Fd program_named(const std::string& bpf_dir, std::string_view name) {
  const auto objects = objects_of(bpf_dir);
  for (const auto id : objects.programs | std::views::reverse) {
    Fd program(bpf_prog_get_fd_by_id(id));
    if (program && info_of<bpf_prog_info>(program.get()).name == name) return program;
  }
  throw std::runtime_error("no program " + std::string(name));
}

std::uint32_t link_id_of_pin(const std::string& pin) {
  const Fd link(bpf_obj_get(pin.c_str()));
  if (!link) fail(pin);
  return info_of<bpf_link_info>(link.get()).id;
}

ForeignProgram::ForeignProgram()
    : map_(bpf_map_create(BPF_MAP_TYPE_ARRAY, "foreign", sizeof(std::uint32_t), sizeof(std::uint64_t), 1, nullptr)) {
  if (!map_) fail("make a map");
  // r1 = &map[0]; r2 = 1; lock *r1 += r2; return TC_ACT_UNSPEC
  bpf_insn code[] = {
      {.code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_VALUE, .off = 0, .imm = map_.get()},
      {},
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .src_reg = 0, .off = 0, .imm = 1},
      {.code = BPF_STX | BPF_DW | BPF_ATOMIC, .dst_reg = 1, .src_reg = 2, .off = 0, .imm = BPF_ADD},
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = kPass},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
  program_ = Fd(bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "foreign", "GPL", code, std::size(code), nullptr));
  if (!program_) fail("load a program");
}
void ForeignProgram::attach_tcx(int ifindex) {
  link_ = Fd(bpf_link_create(program_.get(), ifindex, kTcxIngress, nullptr));
  if (!link_) fail("attach a TCX program");
}
bool ForeignProgram::is_on_tcx(int ifindex) const {
  return std::ranges::count(tcx_programs(ifindex, kTcxIngress), id()) == 1;
}
void ForeignProgram::attach_clsact(int ifindex, std::uint32_t handle, std::uint32_t priority) {
  bpf_tc_hook hook{};
  hook.sz = sizeof(hook);
  hook.ifindex = ifindex;
  hook.attach_point = BPF_TC_INGRESS;
  const int made = bpf_tc_hook_create(&hook);
  bpf_tc_opts options{};
  options.sz = sizeof(options);
  options.prog_fd = program_.get();
  options.handle = handle;
  options.priority = priority;
  if ((made != 0 && made != -EEXIST) || bpf_tc_attach(&hook, &options) != 0) fail("attach a filter");
}
std::uint64_t ForeignProgram::seen() const {
  const std::uint32_t zero = 0;
  std::uint64_t value = 0;
  if (bpf_map_lookup_elem(map_.get(), &zero, &value) != 0) fail("read a map");
  return value;
}
std::uint32_t ForeignProgram::id() const { return info_of<bpf_prog_info>(program_.get()).id; }

Run run(const Fd& program, int ifindex, const Bytes& frame, std::uint32_t gso_size) {
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
