# Before anything is installed: notes the folders that installing will make.
if(NOT CMAKE_INSTALL_PREFIX STREQUAL configured_prefix)
  message(FATAL_ERROR "The unit, the man pages and clatvisor itself name the folders that they were configured for, below "
                      "${configured_prefix}. For others: cmake -S . -B BUILD -DCMAKE_INSTALL_PREFIX=${CMAKE_INSTALL_PREFIX}")
endif()
set(new)
if(EXISTS ${new_folders})  # of earlier installations from this build folder
  file(STRINGS ${new_folders} new)
endif()
foreach(folder IN LISTS folders)
  set(path $ENV{DESTDIR}${folder})
  while(path AND NOT IS_DIRECTORY ${path})
    list(APPEND new ${path})
    cmake_path(GET path PARENT_PATH path)
  endwhile()
endforeach()
list(REMOVE_DUPLICATES new)
list(JOIN new "\n" text)
file(WRITE ${new_folders} "${text}\n")
