"""What training needs beyond the product: picture store, random scenes with ground truth, losses and schedules."""
