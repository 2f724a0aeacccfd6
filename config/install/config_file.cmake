# The example becomes the configuration where there is none. One that is there is the operator's.
if(EXISTS $ENV{DESTDIR}${config_folder}/clatvisor.yaml)
  message(STATUS "Kept: $ENV{DESTDIR}${config_folder}/clatvisor.yaml")
else()
  file(INSTALL ${example} DESTINATION ${config_folder})
endif()
