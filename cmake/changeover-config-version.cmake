# The version is what the installed header says. As for Cargo: until 1.0 another second number is
# another library, from then on another first one.

set(PACKAGE_VERSION "")
set(_changeover_dir "${CMAKE_CURRENT_LIST_DIR}")
get_filename_component(_changeover_dir "${_changeover_dir}" REALPATH)
foreach(_changeover_step RANGE 5)
  get_filename_component(_changeover_dir "${_changeover_dir}" DIRECTORY)
  if(EXISTS "${_changeover_dir}/include/changeover.h")
    file(STRINGS "${_changeover_dir}/include/changeover.h" PACKAGE_VERSION
         REGEX "^#define CHANGEOVER_VERSION \"[0-9.]+\"$")
    string(REGEX MATCH "[0-9]+[.][0-9]+[.][0-9]+" PACKAGE_VERSION "${PACKAGE_VERSION}")
    break()
  endif()
endforeach()

set(PACKAGE_VERSION_COMPATIBLE FALSE)
set(PACKAGE_VERSION_EXACT FALSE)
string(REGEX MATCH "^(0[.][0-9]+|[1-9][0-9]*)" _changeover_line "${PACKAGE_VERSION}")
set(_changeover_wanted "${PACKAGE_FIND_VERSION_MAJOR}")
if(_changeover_wanted STREQUAL "0")
  set(_changeover_wanted "0.${PACKAGE_FIND_VERSION_MINOR}")
endif()
if(_changeover_wanted STREQUAL _changeover_line AND NOT PACKAGE_VERSION VERSION_LESS PACKAGE_FIND_VERSION)
  set(PACKAGE_VERSION_COMPATIBLE TRUE)
endif()
if(PACKAGE_VERSION VERSION_EQUAL PACKAGE_FIND_VERSION)
  set(PACKAGE_VERSION_EXACT TRUE)
endif()
# A find_package without a version takes any.
if(NOT PACKAGE_FIND_VERSION)
  set(PACKAGE_VERSION_COMPATIBLE TRUE)
endif()
