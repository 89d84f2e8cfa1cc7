# @summary How packages are installed, by Puppet and by hand alike.
#
# It comes before every package, so that the lab and the real servers install the same ones.
class profile::apt {
  file { '/etc/apt/apt.conf.d/60fleet':
    ensure  => file,
    owner   => 'root',
    group   => 'root',
    mode    => '0644',
    content => @(CONF),
      // Managed by Puppet.

      // What a service needs is a dependency; what somebody may like is not installed.
      APT::Install-Recommends "false";

      // Puppet and the unattended upgrades wait for each other instead of failing.
      DPkg::Lock::Timeout "300";

      // Nobody is there to answer a question: files that Puppet wrote stay.
      Dpkg::Options { "--force-confdef"; "--force-confold"; };
      | CONF
  }

  File['/etc/apt/apt.conf.d/60fleet'] -> Package <| |>
}
