# frozen_string_literal: true

describe 'profile::firewall' do
  include_context 'with a host', 'oslo'

  let(:pre_condition) { "$role = 'base'" }

  it 'drops what nobody allowed, for both families at once' do
    is_expected.to contain_concat__fragment('firewall: head')
      .with_content(/^table inet fleet \{/)
      .with_content(/hook input priority filter; policy drop;/)
      .with_content(/hook forward priority filter; policy drop;/)
  end

  it 'replaces the rules in one transaction, checked before' do
    is_expected.to contain_concat__fragment('firewall: head')
      .with_content(/^table inet fleet\ndelete table inet fleet\n/)
    is_expected.to contain_concat('/etc/nftables.conf').with_validate_cmd(/--check/)
  end

  it 'never stops, and never opens by stopping' do
    is_expected.to contain_service('nftables.service').with_restart(/reload/)
    is_expected.to contain_profile__systemd__dropin('nftables.service')
      .with_content("[Service]\nExecStop=\n")
  end

  it 'lets IPv6 find its neighbours' do
    is_expected.to contain_concat__fragment('firewall: head')
      .with_content(/icmpv6 type .*nd-neighbor-solicit, nd-neighbor-advert/)
  end

  it 'knows the addresses of the whole fleet' do
    addresses = FleetFacts.hosts.values.flat_map { |host| host.values_at('v4', 'v6') }
    addresses.each do |address|
      is_expected.to contain_concat__fragment('firewall: head')
        .with_content(/elements = \{.*\b#{Regexp.escape(address)}\b/)
    end
  end
end
