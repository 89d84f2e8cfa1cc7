# @summary The names of all hosts, known without any DNS server.
#
# DNS is one of the things that move, and a host must find the others while it is down:
# `oslo` is the public address of a host, `oslo.wg` its address in the mesh.
class profile::hosts {
  include fleet

  file { '/etc/hosts':
    ensure  => file,
    owner   => 'root',
    group   => 'root',
    mode    => '0644',
    content => epp('profile/hosts.epp', { 'hosts' => $fleet::hosts }),
  }
}
