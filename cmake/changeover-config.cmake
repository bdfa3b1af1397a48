# find_package(changeover CONFIG) gives
#   changeover::changeover         the shared library
#   changeover::changeover-static  the archive, with what it has to be linked with
# and changeover_VERSION. One file for every way of installing: it finds the rest from where it
# lies itself, so that the whole tree can be moved.

cmake_minimum_required(VERSION 3.5)

# The prefix: the nearest directory above that has the header. The library: beside this package
# (<libdir>/cmake/changeover), or where a prefix has libraries.
set(_changeover_dir "${CMAKE_CURRENT_LIST_DIR}")
get_filename_component(_changeover_dir "${_changeover_dir}" REALPATH)
get_filename_component(_changeover_libdir "${_changeover_dir}/../.." ABSOLUTE)
set(_changeover_lib_dirs "${_changeover_libdir}")
unset(_changeover_include_dir)
foreach(_changeover_step RANGE 5)
  get_filename_component(_changeover_dir "${_changeover_dir}" DIRECTORY)
  if(EXISTS "${_changeover_dir}/include/changeover.h")
    set(_changeover_include_dir "${_changeover_dir}/include")
    if(CMAKE_LIBRARY_ARCHITECTURE)
      list(APPEND _changeover_lib_dirs "${_changeover_dir}/lib/${CMAKE_LIBRARY_ARCHITECTURE}")
    endif()
    list(APPEND _changeover_lib_dirs "${_changeover_dir}/lib64" "${_changeover_dir}/lib")
    break()
  endif()
endforeach()

unset(_changeover_so)
unset(_changeover_archive)
unset(_changeover_pc)
foreach(_changeover_dir IN LISTS _changeover_lib_dirs)
  if(NOT _changeover_so AND EXISTS "${_changeover_dir}/libchangeover.so")
    set(_changeover_so "${_changeover_dir}/libchangeover.so")
  endif()
  if(NOT _changeover_archive AND EXISTS "${_changeover_dir}/libchangeover.a")
    set(_changeover_archive "${_changeover_dir}/libchangeover.a")
  endif()
  if(NOT _changeover_pc AND EXISTS "${_changeover_dir}/pkgconfig/changeover.pc")
    set(_changeover_pc "${_changeover_dir}/pkgconfig/changeover.pc")
  endif()
endforeach()

if(NOT _changeover_include_dir OR NOT (_changeover_so OR _changeover_archive))
  set(changeover_FOUND FALSE)
  set(changeover_NOT_FOUND_MESSAGE
      "changeover.h or libchangeover is not where it was installed with ${CMAKE_CURRENT_LIST_FILE}")
  return()
endif()

if(_changeover_so AND NOT TARGET changeover::changeover)
  # The program asks for the SONAME, which is the link that libchangeover.so points to.
  get_filename_component(_changeover_real "${_changeover_so}" REALPATH)
  file(STRINGS "${_changeover_include_dir}/changeover.h" _changeover_abi
       REGEX "^#define CHANGEOVER_ABI_VERSION [0-9]+$")
  string(REGEX MATCH "[0-9]+$" _changeover_abi "${_changeover_abi}")
  add_library(changeover::changeover SHARED IMPORTED)
  set_target_properties(changeover::changeover PROPERTIES
    IMPORTED_LOCATION "${_changeover_real}"
    IMPORTED_SONAME "libchangeover.so.${_changeover_abi}"
    INTERFACE_INCLUDE_DIRECTORIES "${_changeover_include_dir}")
endif()

if(_changeover_archive AND NOT TARGET changeover::changeover-static)
  # What rustc has said that the archive needs is in the pkg-config file.
  set(_changeover_private "")
  if(_changeover_pc)
    file(STRINGS "${_changeover_pc}" _changeover_private REGEX "^Libs.private:")
    string(REGEX REPLACE "^Libs.private:" "" _changeover_private "${_changeover_private}")
    string(REGEX REPLACE "[ \t]+" ";" _changeover_private "${_changeover_private}")
    list(REMOVE_ITEM _changeover_private "")
  endif()
  add_library(changeover::changeover-static STATIC IMPORTED)
  set_target_properties(changeover::changeover-static PROPERTIES
    IMPORTED_LOCATION "${_changeover_archive}"
    IMPORTED_LINK_INTERFACE_LANGUAGES "C"
    INTERFACE_LINK_LIBRARIES "${_changeover_private}"
    INTERFACE_INCLUDE_DIRECTORIES "${_changeover_include_dir}")
endif()
