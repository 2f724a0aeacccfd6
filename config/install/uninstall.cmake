# Removes what `cmake --install` installed last from this build folder, below DESTDIR where that is set.
if(NOT EXISTS ${manifest})
  message(FATAL_ERROR "Nothing was installed from this build folder: there is no ${manifest}")
endif()

# Also where an earlier installation put it. One that was edited is the operator's, and stays.
file(STRINGS ${manifest} files)
list(REMOVE_ITEM files ${config_file})
set(config $ENV{DESTDIR}${config_file})
if(EXISTS ${config})
  execute_process(COMMAND ${CMAKE_COMMAND} -E compare_files ${config} ${example} RESULT_VARIABLE edited OUTPUT_QUIET ERROR_QUIET)
  if(edited)
    message(STATUS "Kept, it was edited: ${config}")
  else()
    list(APPEND files ${config_file})
  endif()
endif()

foreach(file IN LISTS files)
  if(EXISTS $ENV{DESTDIR}${file})
    message(STATUS "Removing: $ENV{DESTDIR}${file}")
    file(REMOVE $ENV{DESTDIR}${file})
  endif()
endforeach()

# The innermost first; one that holds something else stays. Those that were made below another DESTDIR are none of ours now.
file(STRINGS ${new_folders} folders)
list(SORT folders ORDER DESCENDING)
foreach(folder IN LISTS folders)
  string(FIND "${folder}/" "$ENV{DESTDIR}/" at)
  if(at EQUAL 0)
    execute_process(COMMAND rmdir ${folder} ERROR_QUIET)
  endif()
endforeach()
