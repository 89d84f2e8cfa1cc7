# @summary What compiles Clojure services ahead of their start.
class profile::clojure_aot {
  include profile::python3

  file { '/usr/local/sbin/clojure-aot':
    ensure  => file,
    owner   => 'root',
    group   => 'root',
    mode    => '0755',
    source  => 'puppet:///modules/profile/clojure_aot.py',
    require => Package['python3'],
  }
}
