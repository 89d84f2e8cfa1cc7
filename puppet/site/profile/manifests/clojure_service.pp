# @summary A service written in Clojure, compiled ahead of its start.
#
# Debian ships the source, and the JVM compiles it at every start: minutes on a slow core. Here
# the first start compiles it into a jar, and so does the first one after an upgrade; where that
# fails, the service starts as shipped (`files/clojure_aot.py`).
#
# It is started in the background as soon as it may, because compiling takes as long as the
# installation of the rest, and waited for at the end of the run.
#
# @param jar the service's own jar; its manifest names the others
# @param bootstrap the files that name the parts the service consists of
# @param main what the JVM runs: a class and its arguments, `$` as in systemd.exec(5)
# @param namespaces what is to be compiled beyond what the bootstrap files name
# @example restart the service when a file changes
#   file { '/etc/puppetdb/conf.d/jetty.ini':
#     before => Exec['puppetdb: begin to start'],
#     notify => Exec['puppetdb: restart'],
#   }
define profile::clojure_service (
  Stdlib::Unixpath $jar,
  Array[Stdlib::Unixpath, 1] $bootstrap,
  String[1] $main,
  Array[String[1]] $namespaces = [],
) {
  include profile::clojure_aot

  profile::systemd::dropin { "${title}.service":
    content => epp('profile/clojure-service.conf.epp', {
        'service'    => $title,
        'jar'        => $jar,
        'bootstrap'  => $bootstrap,
        'main'       => $main,
        'namespaces' => $namespaces,
    }),
    notify  => Exec["${title}: restart"],
  }

  # Before the first start there is nothing to restart.
  exec { "${title}: restart":
    command     => "/usr/bin/systemctl restart ${title}.service",
    onlyif      => "/usr/bin/systemctl is-active --quiet ${title}.service",
    refreshonly => true,
    timeout     => 1800,
    require     => Package[$title],
  }

  exec { "${title}: begin to start":
    command => "/usr/bin/systemctl start --no-block ${title}.service",
    unless  => "/usr/bin/systemctl is-active --quiet ${title}.service",
    require => [
      Class['profile::clojure_aot'],
      Exec["${title}: restart"],
    ],
  }

  service { "${title}.service":
    ensure  => running,
    enable  => true,
    require => Exec["${title}: begin to start"],
  }

  Package <| |> -> Service["${title}.service"]
}
