# frozen_string_literal: true

# What the kernel lets this machine do. A container is asked the same question as a server, and
# nothing has to know that it is one.
#
#   set_clock: whether root may set the clock (CAP_SYS_TIME, capabilities(7))
#   wireguard: whether the kernel itself speaks WireGuard
Facter.add(:kernel_can) do
  confine kernel: 'Linux'

  setcode do
    cap_sys_time = 25
    effective = File.read('/proc/1/status')[/^CapEff:\s*(\h+)/, 1].to_i(16)
    modules = Dir["/lib/modules/#{Facter.value(:kernelrelease)}/modules.{builtin,dep}"]

    {
      'set_clock' => effective[cap_sys_time] == 1,
      'wireguard' => File.directory?('/sys/module/wireguard') ||
        modules.any? { |list| File.read(list).include?('/wireguard.ko') },
    }
  end
end
