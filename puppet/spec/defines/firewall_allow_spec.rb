# frozen_string_literal: true

describe 'profile::firewall::allow' do
  include_context 'with a host', 'oslo'

  let(:pre_condition) { "$role = 'base'" }
  let(:title) { 'thing' }
  let(:rules) { catalogue.resource('concat::fragment', 'firewall: thing')[:content] }

  {
    { 'ports' => [80, 443] } => [
      'tcp dport { 80, 443 } accept',
    ],
    { 'ports' => [53], 'protocols' => ['tcp', 'udp'] } => [
      'tcp dport { 53 } accept',
      'udp dport { 53 } accept',
    ],
    { 'ports' => [8140], 'from' => 'fleet' } => [
      'ip saddr @fleet4 tcp dport { 8140 } accept',
      'ip6 saddr @fleet6 tcp dport { 8140 } accept',
    ],
    { 'ports' => [9100], 'from' => 'mesh' } => [
      'iifname "wg0" tcp dport { 9100 } accept',
    ],
    { 'ports' => [8081], 'from' => { 'mesh' => ['bergen'] } } => [
      'iifname "wg0" ip saddr 10.83.0.20 tcp dport { 8081 } accept',
    ],
    { 'ports' => [25], 'from' => ['198.18.0.25', 'fd18::/48'] } => [
      'ip saddr 198.18.0.25 tcp dport { 25 } accept',
      'ip6 saddr fd18::/48 tcp dport { 25 } accept',
    ],
  }.each do |given, expected|
    context "with #{given}" do
      let(:params) { given }

      it 'writes these rules and no other' do
        expect(rules.lines.map(&:strip)).to eq(expected.map { |rule| "#{rule} comment \"thing\"" })
      end
    end
  end

  context 'with an address that is none' do
    let(:params) { { 'ports' => [25], 'from' => ['everybody'] } }

    it { is_expected.to compile.and_raise_error(/parameter 'from'/) }
  end
end
