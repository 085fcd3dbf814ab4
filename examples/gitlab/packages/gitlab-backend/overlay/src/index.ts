// RHDH loads what a backend plugin exports as default, and nothing else. The processor that fills in the annotations is
// a module of the catalog, so both become one feature.
import { createBackendFeatureLoader } from '@backstage/backend-plugin-api';
import { catalogPluginGitlabFillerProcessorModule, gitlabPlugin } from './plugin';

export * from './plugin';
export * from './processor';
export * from './service/router';

export default createBackendFeatureLoader({
    loader: () => [gitlabPlugin, catalogPluginGitlabFillerProcessorModule],
});
