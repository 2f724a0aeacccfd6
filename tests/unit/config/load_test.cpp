// From a path instead of text: what cannot be read is one clear problem, and nothing hangs.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "config/tree.hpp"
#include "fixture.hpp"

namespace clat::config {
namespace {

class Load : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "clatvisor-load-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return folder_ / name; }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name), std::ios::binary) << text;
    return path(name);
  }
  static std::string report_on(const std::string& path) {
    const auto parsed = load(path, paper_machine());
    return parsed ? "" : render("f", parsed.error());
  }

  std::filesystem::path folder_;
};

TEST_F(Load, ARegularFile) {
  const auto parsed = load(write("c.yaml", wan0()), paper_machine());
  ASSERT_TRUE(parsed);
  EXPECT_EQ(*parsed, config_of(wan0()));
}

TEST_F(Load, ALinkToAFile) {
  write("c.yaml", wan0());
  std::filesystem::create_symlink("c.yaml", path("link"));
  EXPECT_EQ(report_on(path("link")), "");
}

TEST_F(Load, NoFile) {
  EXPECT_EQ(report_on(path("none")), "f:1:1: error: cannot open the file: No such file or directory\n");
}

TEST_F(Load, ADanglingLink) {
  std::filesystem::create_symlink("none", path("link"));
  EXPECT_EQ(report_on(path("link")), "f:1:1: error: cannot open the file: No such file or directory\n");
}

TEST_F(Load, ALoopOfLinks) {
  std::filesystem::create_symlink("link", path("link"));
  EXPECT_EQ(report_on(path("link")), "f:1:1: error: cannot open the file: Too many levels of symbolic links\n");
}

TEST_F(Load, AFileAsAFolder) {
  EXPECT_EQ(report_on(write("c.yaml", wan0()) + "/d"), "f:1:1: error: cannot open the file: Not a directory\n");
}

// Root may read everything, so whoever runs this may see either.
TEST_F(Load, AnUnreadableFile) {
  const auto file = write("c.yaml", wan0());
  ASSERT_EQ(chmod(file.c_str(), 0), 0);
  const bool readable = access(file.c_str(), R_OK) == 0;
  EXPECT_EQ(report_on(file), readable ? "" : "f:1:1: error: cannot open the file: Permission denied\n");
}

TEST_F(Load, ADirectory) { EXPECT_EQ(report_on(folder_), "f:1:1: error: this is a directory; a file is needed\n"); }

TEST_F(Load, AFifoWithoutAWriterDoesNotBlock) {
  ASSERT_EQ(mkfifo(path("fifo").c_str(), 0600), 0);
  EXPECT_EQ(report_on(path("fifo")), "f:1:1: error: not a regular file\n");
}

TEST_F(Load, ADeviceWithoutEndIsNotRead) { EXPECT_EQ(report_on("/dev/zero"), "f:1:1: error: not a regular file\n"); }

TEST_F(Load, ASocket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path("s").c_str(), sizeof(address.sun_path) - 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_EQ(report_on(path("s")), "f:1:1: error: cannot open the file: No such device or address\n");
  close(fd);
}

TEST_F(Load, AnEmptyFile) { EXPECT_EQ(report_on(write("c.yaml", "")), "f:1:1: error: the file is empty\n"); }

TEST_F(Load, OneMebibyteIsTheLimit) {
  const std::string text = wan0() + "#";
  EXPECT_EQ(report_on(write("fits", text + std::string(kMaxBytes - text.size(), 'x'))), "");
  EXPECT_EQ(report_on(write("large", text + std::string(kMaxBytes - text.size() + 1, 'x'))),
            "f:1:1: error: the file is larger than 1048576 bytes\n");
}

}  // namespace
}  // namespace clat::config
