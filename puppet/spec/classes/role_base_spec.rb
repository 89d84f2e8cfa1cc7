# frozen_string_literal: true

describe 'role::base' do
  include_context 'with a host', 'oslo'

  let(:pre_condition) { "$role = 'base'" }

  it { is_expected.to compile.with_all_deps }
end
