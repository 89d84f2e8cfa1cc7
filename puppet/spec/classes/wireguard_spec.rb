# frozen_string_literal: true

describe 'profile::wireguard' do
  let(:pre_condition) { "$role = 'base'" }
  let(:wg0) { catalogue.resource('file', '/etc/wireguard/wg0.conf') }
  let(:text) { wg0[:content] }

  context 'on a host whose kernel speaks WireGuard' do
    include_context 'with a host', 'oslo', 'server'

    it { is_expected.not_to contain_package('wireguard-go') }

    it 'shows its private key to nobody' do
      expect(wg0.sensitive_parameters).to include(:content)
      expect(wg0[:mode]).to eq('0600')
      expect(text).to match(%r{^PrivateKey = [A-Za-z0-9+/]{43}=$})
    end

    it 'has every other enrolled host as a peer, and itself not' do
      enrolled = catalogue.resource('class', 'fleet')[:enrolled]
      peers = FleetFacts.hosts.slice(*enrolled).except('oslo')
      keys = peers.values.map { |host| host['wireguard_public_key'] }
      expect(text.scan(/^PublicKey = (.+)$/).flatten).to match_array(keys)
    end

    it 'takes a changed file without dropping a peer' do
      is_expected.to contain_service('wg-quick@wg0.service').with_restart(/reload/)
    end
  end

  context 'on a host whose kernel does not' do
    include_context 'with a host', 'oslo', 'container'

    it 'brings its own before it starts' do
      is_expected.to contain_package('wireguard-go')
        .that_comes_before('Service[wg-quick@wg0.service]')
    end
  end
end
