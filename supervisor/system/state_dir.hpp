// The state directory: what a successor must know of a supervisor that was killed. One supervisor at a time holds it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/fd.hpp"
#include "supervisor/model/actions.hpp"

namespace clat::system {

// What makes a note worthless: another boot, another network namespace.
struct Origin {
  std::string boot;        // kernel/random/boot_id
  std::string namespace_;  // of the network: device and inode, and its cookie (Linux 5.14), which is never used again
  bool operator==(const Origin&) const = default;

  static Result<Origin> here();
};

class StateDir {
 public:
  // Creates it (0700) when missing, and locks it. Errors: EBUSY, naming the holder's pid; EPERM when others could
  // write in it.
  static Result<StateDir> open(const std::string& path, Origin origin);
  static Result<StateDir> open(const std::string& path);

  // Whole or not at all.
  Result<> write(const model::RecordSpec& record);
  // And the note of its tun. Fine when there is none.
  Result<> erase_record(const std::string& uplink);
  // The ifindex of an uplink's tun, by which a successor finds it whatever it is called or marked by then.
  Result<> note_tun(const std::string& uplink, int ifindex);
  Result<> forget_tun(const std::string& uplink);
  [[nodiscard]] int noted_tun(const std::string& uplink) const;  // 0: none
  // EXDEV: of another network namespace; ESTALE: of another boot; else: not what we write, or one too many.
  struct Ignored {
    std::string file;
    Error why;
  };
  struct Records {
    std::vector<model::RecordSpec> records;
    std::vector<Ignored> ignored;
  };
  // At most kMostRecords.
  Result<Records> records() const;
  static constexpr std::size_t kMostRecords = 4096;
  // So that nobody has to ignore it again. That of another namespace may be of use there, and stays.
  Result<> discard(const Ignored& ignored);

  // Other notes of this boot and namespace, each a file of key=value lines in a given order.
  using Lines = std::vector<std::pair<std::string, std::string>>;
  Result<> write_note(const std::string& name, const Lines& lines);
  // ENOENT: none; ESTALE: of another boot; EXDEV: of another network namespace; EBADMSG: garbage.
  Result<Lines> read_note(const std::string& name) const;
  Result<> erase_note(const std::string& name);

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  StateDir(std::string path, Origin origin, Fd directory, Fd lock);
  Result<model::RecordSpec> read_record(const std::string& file) const;

  std::string path_;
  Origin origin_;
  Fd directory_;
  Fd lock_;  // last: unlocked first
};

}  // namespace clat::system
