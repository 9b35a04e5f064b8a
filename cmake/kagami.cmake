# Flags and small functions that every CMakeLists.txt of the tree uses.
find_package(PkgConfig REQUIRED)
find_package(OpenSSL REQUIRED)  # imported targets are seen only below the folder that finds them
find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Paths are hashed relative to the tree, so that every clone shares one cache.
  set(CMAKE_CXX_COMPILER_LAUNCHER env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${CCACHE})
endif()
find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
endif()

add_compile_definitions(_FORTIFY_SOURCE=2 KAGAMI_VERSION="${PROJECT_VERSION}")
add_compile_options(-fstack-protector-strong -fno-omit-frame-pointer -g1)
add_link_options(-pie -Wl,-z,relro,-z,now)
if(KAGAMI_SANITIZE)
  add_compile_options(-fsanitize=${KAGAMI_SANITIZE} -fno-sanitize-recover=all -U_FORTIFY_SOURCE)
  add_link_options(-fsanitize=${KAGAMI_SANITIZE})
endif()

set(KAGAMI_WARNINGS -Wall -Wextra -Wconversion -Wshadow -Werror)

# kagami_library(NAME SOURCES... LIBS targets...): a static library of our own code; includes are written from the top of the tree.
function(kagami_library name)
  cmake_parse_arguments(A "" "" "SOURCES;LIBS" ${ARGN})
  add_library(${name} STATIC ${A_SOURCES})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_compile_options(${name} PRIVATE ${KAGAMI_WARNINGS})
  target_link_libraries(${name} PUBLIC ${A_LIBS})
endfunction()

# kagami_program(NAME SOURCES... LIBS targets...): an executable, built into bin/.
function(kagami_program name)
  cmake_parse_arguments(A "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_options(${name} PRIVATE ${KAGAMI_WARNINGS})
  target_link_libraries(${name} PRIVATE ${A_LIBS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
endfunction()

# kagami_test(NAME LABEL unit|golden|sim|component|tidy SOURCES... LIBS targets...): a Catch2 program known to ctest under its label.
# The target tests_LABEL builds all programs of a label.
function(kagami_test name)
  cmake_parse_arguments(A "" "LABEL" "SOURCES;LIBS" ${ARGN})
  kagami_program(${name} SOURCES ${A_SOURCES} LIBS kagami_test_main ${A_LIBS})
  # Compiled once and run shortly; what it tests has the flags of the product.
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1>)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS ${A_LABEL} TIMEOUT 600)
  if(NOT TARGET tests_${A_LABEL})
    add_custom_target(tests_${A_LABEL})
  endif()
  add_dependencies(tests_${A_LABEL} ${name})
endfunction()
