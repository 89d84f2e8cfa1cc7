# @summary Debian's Python, for programs of this repository.
class profile::python3 {
  package { 'python3':
    ensure => installed,
  }
}
